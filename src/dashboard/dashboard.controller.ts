import { Controller, Get, NotFoundException, type OnModuleDestroy, Param, Req, Res } from '@nestjs/common';
import type { Request, RequestHandler, Response } from 'express';
import { problemResponse, send } from '../http/response/http-response.ts';
import { pageHeaders } from '../http/response/page-headers.ts';
import { problem } from '../http/response/problem.ts';
import { SkipSequential } from '../http/server/sequential.guard.ts';
import { EventStream } from './event-stream.ts';
import { PageFiles } from './page-files.ts';
import { SnapshotService } from './snapshot.service.ts';

const SNAPSHOT_INTERVAL_MS = 1000;
/** Maximum number of open event streams of one thread. */
const MAX_SUBSCRIBERS = 64;

/** Serves the dashboard, its files, and a snapshot every second. Nothing here contains keys or values. */
@Controller()
@SkipSequential()
export class DashboardController implements OnModuleDestroy {
  readonly #files: PageFiles;
  readonly #headers: RequestHandler = pageHeaders('in files');
  readonly #events: EventStream;

  constructor(files: PageFiles, snapshots: SnapshotService) {
    this.#files = files;
    this.#events = new EventStream({
      read: () => JSON.stringify(snapshots.read()),
      maxSubscribers: MAX_SUBSCRIBERS,
      schedule: (call) => {
        const timer = setInterval(call, SNAPSHOT_INTERVAL_MS);
        return () => clearInterval(timer);
      },
    });
  }

  @Get()
  page(@Req() request: Request, @Res() response: Response): void {
    this.#sendFile('index.html', request, response);
  }

  @Get('dashboard/events')
  events(@Req() request: Request, @Res() response: Response): void {
    if (this.#events.isFull) {
      const overloaded = problem('overloaded', 'Too many dashboards are open.');
      return send(problemResponse(overloaded, ['Retry-After', '5']), request.method, response);
    }
    response.writeHead(200, [
      ...['Content-Type', 'text/event-stream', 'Cache-Control', 'no-store', 'X-Accel-Buffering', 'no'],
      ...['X-Content-Type-Options', 'nosniff', 'Connection', 'close'],
    ]);
    if (request.method === 'HEAD') response.end();
    else this.#events.subscribe(response);
  }

  @Get('dashboard/*path')
  file(@Param('path') path: readonly string[], @Req() request: Request, @Res() response: Response): void {
    this.#sendFile(path.join('/'), request, response);
  }

  /** Ends the event streams, so that the drain does not wait for them. */
  onModuleDestroy(): void {
    this.#events.close();
  }

  #sendFile(path: string, request: Request, response: Response): void {
    const file = this.#files.responseFor(path, request.headers['if-none-match']);
    if (file === undefined) throw new NotFoundException();
    void this.#headers(request, response, () => send(file, request.method, response));
  }
}
