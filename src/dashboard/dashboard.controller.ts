import { Controller, Get, NotFoundException, type OnModuleDestroy, Param, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Request, RequestHandler, Response } from 'express';
import { problemResponse, send } from '../http/response/http-response.ts';
import { HttpConnections } from '../http/server/http-connections.ts';
import { pageHeaders } from '../http/response/page-headers.ts';
import { problem } from '../http/response/problem.ts';
import { TakesNoTurn } from '../http/server/turn.guard.ts';
import { EventStream } from './event-stream.ts';
import { PageFiles } from './page-files.ts';
import { SnapshotService } from './snapshot.service.ts';

const TICK_MS = 1000;
/** Open dashboards of one thread. */
const MOST_LISTENERS = 64;

/** The page that people leave open, what it consists of, and what it is told each second. None of it holds keys or values. */
@ApiExcludeController()
@Controller()
@TakesNoTurn()
export class DashboardController implements OnModuleDestroy {
  readonly #files: PageFiles;
  readonly #headers: RequestHandler = pageHeaders('in files');
  readonly #events: EventStream;

  constructor(files: PageFiles, ticks: SnapshotService, connections: HttpConnections) {
    this.#files = files;
    this.#events = new EventStream({
      read: () => JSON.stringify(ticks.read()),
      most: MOST_LISTENERS,
      every: (call) => {
        const timer = setInterval(call, TICK_MS);
        return () => clearInterval(timer);
      },
    });
    connections.onDrain(() => this.#events.close());
  }

  @Get()
  page(@Req() request: Request, @Res() response: Response): void {
    this.#file('index.html', request, response);
  }

  @Get('dashboard/events')
  events(@Req() request: Request, @Res() response: Response): void {
    if (this.#events.full) {
      const full = problem('overloaded', 'Too many dashboards are open.');
      return send(problemResponse(full, ['Retry-After', '5']), request.method, response);
    }
    response.writeHead(200, [
      ...['Content-Type', 'text/event-stream', 'Cache-Control', 'no-store', 'X-Accel-Buffering', 'no'],
      ...['X-Content-Type-Options', 'nosniff', 'Connection', 'close'],
    ]);
    if (request.method === 'HEAD') response.end();
    else this.#events.open(response);
  }

  @Get('dashboard/:file')
  file(@Param('file') name: string, @Req() request: Request, @Res() response: Response): void {
    this.#file(name, request, response);
  }

  onModuleDestroy(): void {
    this.#events.close();
  }

  #file(name: string, request: Request, response: Response): void {
    const answer = this.#files.answer(name, request.headers['if-none-match']);
    if (answer === undefined) throw new NotFoundException();
    void this.#headers(request, response, () => send(answer, request.method, response));
  }
}
