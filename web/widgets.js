// @ts-check
// What several features do with a node's widgets.

/** @param {any} node @param {string} name */
export const widgetOf = (node, name) =>
  node.widgets?.find((/** @type {any} */ widget) => widget.name === name);

/** Whether another node gives this input. @param {any} node @param {string} name */
export function linked(node, name) {
  const socket = node.inputs?.find((/** @type {any} */ i) => (i.widget?.name ?? i.name) === name);
  return socket?.link !== undefined && socket?.link !== null;
}

/** Hide a widget but keep it, and its value, in the node.
 * @param {any} widget @param {boolean} visible @returns {boolean} whether that changed anything */
export function show(widget, visible) {
  if (!widget || Boolean(widget.hidden) === !visible) return false;
  // The canvas reads hidden, Vue nodes the option; they keep the options object they met first.
  widget.options ??= {};
  widget.options.hidden = !visible;
  widget.hidden = !visible;
  // Frontend 1.27 keeps the row of a hidden widget free, of this height and 4 px.
  if (visible) delete widget.computeSize;
  else widget.computeSize = () => [0, -4];
  return true;
}

/** Do something after a handler that may be there. @param {any} owner @param {string} name
 * @param {() => void} after */
export function chain(owner, name, after) {
  const before = owner[name];
  owner[name] = function (/** @type {any[]} */ ...args) {
    const result = before?.apply(this, args);
    after();
    return result;
  };
}

/** Make room for the widgets that are shown now. @param {any} node @param {boolean} shrink whether it may get lower */
export function fit(node, shrink) {
  // Vue nodes of frontend 1.35 look at the widgets again only when the list is set.
  node.widgets = [...node.widgets];
  const [width, height] = node.size;
  const [, wanted] = node.computeSize();
  node.setSize([width, shrink ? wanted : Math.max(height, wanted)]);
}

/** A page element as the node's last widget; it is not saved.
 * @param {any} node @param {string} name @param {HTMLElement} content
 * @param {() => number} height_px @param {boolean} grows whether it takes what is left */
export function pageWidget(node, name, content, height_px, grows) {
  const widget = node.addDOMWidget(name, `PIXWIZARD_${name.toUpperCase()}`, content, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: height_px,
    ...(grows ? {} : { getMaxHeight: height_px }),
  });
  widget.serialize = false;
  return widget;
}

/** Every node of a graph and of the subgraphs in it, with the name the host knows it by.
 * @param {any} graph @param {string} path @returns {[string, any][]} */
export function nodesOf(graph, path = "") {
  return graph.nodes.flatMap((/** @type {any} */ node) => {
    const name = `${path}${node.id}`;
    return [[name, node], ...(node.subgraph ? nodesOf(node.subgraph, `${name}:`) : [])];
  });
}
