export const api: {
  fetchApi(path: string, options?: RequestInit): Promise<Response>;
  apiURL(path: string): string;
  addEventListener(kind: string, told: (event: any) => void): void;
  /** Newer pages have it. */
  dispatchCustomEvent?: (kind: string, detail: any) => unknown;
  queuePrompt(...args: any[]): Promise<any>;
};
