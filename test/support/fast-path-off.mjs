/** Run before each spec of a Jest project: the proxies that it starts run without the fast path. */
process.env.TEST_FAST_PATH = 'off';
