import { Controller, Get, NotFoundException, type OnModuleDestroy, Param, Req, Res } from '@nestjs/common';
import type { Request, RequestHandler, Response } from 'express';
import { type HttpResponse, problemResponse } from '../http/response/http-response.ts';
import { pageHeaders } from '../http/response/page-headers.ts';
import { ResponseException } from '../http/response/problem.filter.ts';
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
  readonly #setHeaders: RequestHandler = pageHeaders('in files');
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
  page(@Req() request: Request, @Res({ passthrough: true }) response: Response): HttpResponse {
    return this.#file('index.html', request, response);
  }

  // With @Res(), as the response stays open and Nest must not end it.
  @Get('dashboard/events')
  events(@Req() request: Request, @Res() response: Response): void {
    if (this.#events.isFull) throw new ResponseException(TOO_MANY_SUBSCRIBERS);
    response.writeHead(200, [
      ...['Content-Type', 'text/event-stream', 'Cache-Control', 'no-store', 'X-Accel-Buffering', 'no'],
      ...['X-Content-Type-Options', 'nosniff', 'Connection', 'close'],
    ]);
    if (request.method === 'HEAD') response.end();
    else this.#events.subscribe(response);
  }

  @Get('dashboard/*path')
  file(
    @Param('path') path: readonly string[],
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): HttpResponse {
    return this.#file(path.join('/'), request, response);
  }

  /** Ends the event streams, so that the drain does not wait for them. */
  onModuleDestroy(): void {
    this.#events.close();
  }

  #file(path: string, request: Request, response: Response): HttpResponse {
    const file = this.#files.responseFor(path, request.headers['if-none-match']);
    if (file === undefined) throw new NotFoundException();
    void this.#setHeaders(request, response, () => undefined);
    return file;
  }
}

const TOO_MANY_SUBSCRIBERS = problemResponse(problem('overloaded', 'Too many dashboards are open.'), [
  ...['Retry-After', '5'],
]);
