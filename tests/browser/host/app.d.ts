// The little of the host's page that web/ uses. Nodes and widgets stay loose: they differ between
// frontends.

export interface Extension {
  name: string;
  setup?(): void | Promise<void>;
  nodeCreated?(node: any): void;
  afterConfigureGraph?(missing: string[]): void | Promise<void>;
  refreshComboInNodes?(definitions: Record<string, unknown>): void;
}

export const app: {
  registerExtension(extension: Extension): void;
  graph: any;
  rootGraph?: any;
  canvas?: any;
  configuringGraph?: boolean;
  loadApiJson?(...args: any[]): any;
  extensionManager?: { setting?: { get(id: string): any }; workflow?: { activeWorkflow?: any } };
};
