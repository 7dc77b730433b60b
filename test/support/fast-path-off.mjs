/** Run before each spec of a Jest project: the proxies it starts answer without the fast path. */
process.env.TEST_FAST_PATH = 'off';
