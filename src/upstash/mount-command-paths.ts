import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NextFunction, Request, Response } from 'express';
import { hideCommand } from './command-path.ts';

/** Installs the middleware that maps all command paths to one route. */
export function mountCommandPaths(app: NestExpressApplication): void {
  app.use((request: Request, _response: Response, next: NextFunction) => {
    request.url = hideCommand(request.url);
    next();
  });
}
