// The little of the host's page that web/ uses. Nodes and widgets stay loose: they differ between
// frontends.

export interface Extension {
  name: string;
  nodeCreated?(node: any): void;
  afterConfigureGraph?(missing: string[]): void | Promise<void>;
  refreshComboInNodes?(definitions: Record<string, unknown>): void;
}

export const app: {
  registerExtension(extension: Extension): void;
  graph: { id: string; nodes: any[] };
  nodeOutputs?: Record<string, any>;
  extensionManager?: { setting?: { get(id: string): any } };
};
