/** The Redis whose commands, among those that there are here, answer as these do; clients choose by it what they send. */
export const COMPATIBLE_VERSION = '7.0.15';
