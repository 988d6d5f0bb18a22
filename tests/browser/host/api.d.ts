export const api: {
  fetchApi(path: string, options?: RequestInit): Promise<Response>;
  apiURL(path: string): string;
};
