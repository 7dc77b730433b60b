import { Logger } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';

const IDLE_SWEEP_MS = 50;

/** Ends the process on SIGTERM or SIGINT: what was accepted is answered first, within `graceMs`. A second signal ends it at once. */
export function shutDownOnSignal(app: NestExpressApplication, graceMs: number): void {
  const logger = new Logger('Shutdown');
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(1);
    stopping = true;
    logger.log(`${signal}: finishing what is under way`);
    drain(app, graceMs).then(
      (drained) => {
        if (!drained) logger.error(`connections were still open after ${graceMs} ms`);
        process.exit(drained ? 0 : 1);
      },
      (error: unknown) => {
        logger.error(error);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop).on('SIGINT', stop);
}

/** Closes the application; false when that takes longer than `graceMs`. */
async function drain(app: NestExpressApplication, graceMs: number): Promise<boolean> {
  const server = app.getHttpServer();
  // A keep-alive connection is idle once its last answer is out, and would otherwise hold the server open.
  const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS);
  const deadline = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), graceMs).unref());
  try {
    return await Promise.race([app.close().then(() => true), deadline]);
  } finally {
    clearInterval(sweep);
  }
}
