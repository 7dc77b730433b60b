/** Run before each spec of a Jest project: the proxies that it starts run on the Node.js of `globals.PROXY_NODE`. */
process.env.TEST_NODE = globalThis.PROXY_NODE;
