/** Run before each spec of a Jest project: the proxies it starts answer without the key lane. */
process.env.TEST_LANE = 'off';
