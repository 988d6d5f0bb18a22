// What the host's page puts into the global scope; the tests use it from inside the page.
/* eslint-disable no-var */
declare var app: any;
declare var LiteGraph: any;
declare var __COMFYUI_FRONTEND_VERSION__: string;
