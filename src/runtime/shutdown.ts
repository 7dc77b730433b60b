import { Logger } from '@nestjs/common';

/**
 * Ends the process on SIGTERM or SIGINT: with status 0 when `drain` is done within `graceMs`, with 1 when it is not. A
 * second signal ends it at once.
 */
export function endOnSignal(drain: () => Promise<void>, graceMs: number): void {
  const logger = new Logger('Shutdown');
  let draining = false;
  const end = (signal: NodeJS.Signals): void => {
    if (draining) process.exit(1);
    draining = true;
    logger.log(`${signal}: no more connections; what was accepted is answered`);
    setTimeout(() => {
      logger.error(`not done within ${graceMs} ms: what is open now is cut off`);
      process.exit(1);
    }, graceMs);
    drain().then(
      () => {
        logger.log('done');
        process.exit(0);
      },
      (error: unknown) => {
        logger.error(error);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', end).on('SIGINT', end);
}
