import { Logger } from '@nestjs/common';

/**
 * Shuts the process down on SIGTERM or SIGINT: exits with status 0 when `drain` resolves, and with status 1 if it rejects
 * or takes longer than `graceMs` milliseconds, or at once on a second signal.
 */
export function shutdownOnSignal(drain: () => Promise<void>, graceMs: number): void {
  const logger = new Logger('Shutdown');
  let draining = false;
  const shutDown = (signal: NodeJS.Signals): void => {
    if (draining) process.exit(1);
    draining = true;
    logger.log(`${signal} received: draining, no new connections accepted`);
    setTimeout(() => {
      logger.error(`graceful shutdown timed out after ${graceMs} ms; closing remaining connections`);
      process.exit(1);
    }, graceMs);
    drain().then(
      () => {
        logger.log('shutdown complete');
        process.exit(0);
      },
      (error: unknown) => {
        logger.error(error);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', shutDown).on('SIGINT', shutDown);
}
