import { Logger } from '@nestjs/common';

/**
 * Shuts the process down on SIGTERM or SIGINT: exits with status 0 when `drain` resolves, and with status 1 if it rejects
 * or takes longer than `graceMs` milliseconds, or at once on a second signal.
 *
 * @param save called after that, before the process exits; it must limit its own time.
 */
export function shutdownOnSignal(drain: () => Promise<void>, graceMs: number, save: () => Promise<void>): void {
  const logger = new Logger('Shutdown');
  let draining = false;
  const shutDown = (signal: NodeJS.Signals): void => {
    if (draining) process.exit(1);
    draining = true;
    logger.log(`${signal} received: draining, no new connections accepted`);
    let exiting = false;
    const exit = async (status: number): Promise<void> => {
      if (exiting) return;
      exiting = true;
      clearTimeout(timer);
      await save();
      if (status === 0) logger.log('shutdown complete');
      process.exit(status);
    };
    const timer = setTimeout(() => {
      logger.error(`graceful shutdown timed out after ${graceMs} ms; closing remaining connections`);
      void exit(1);
    }, graceMs);
    drain().then(
      () => exit(0),
      (error: unknown) => {
        logger.error(error);
        return exit(1);
      },
    );
  };
  process.on('SIGTERM', shutDown).on('SIGINT', shutDown);
}
