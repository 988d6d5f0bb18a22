export const api: {
  fetchApi(path: string, options?: RequestInit): Promise<Response>;
  apiURL(path: string): string;
  addEventListener(kind: string, told: (event: any) => void): void;
  queuePrompt(...args: any[]): Promise<any>;
};
