import { once } from 'node:events';
import { type IncomingHttpHeaders, type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

type Value = string | number | boolean;
type Attributes = Readonly<Record<string, Value>>;

/** A span as it was received over OTLP. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  /** 2: server, 3: client. */
  readonly kind: number;
  readonly durationMs: number;
  readonly attributes: Attributes;
  readonly events: readonly string[];
  /** Span ids. */
  readonly links: readonly string[];
  /** 2: error. */
  readonly status: { readonly code: number; readonly message: string };
  readonly resource: Attributes;
}

/** Receives spans over OTLP/HTTP in protobuf, as a collector does. */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  readonly headers: IncomingHttpHeaders[] = [];
  /** Status of the responses. */
  status = 200;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<OtlpReceiver> {
    const server = createServer();
    const receiver = new OtlpReceiver(server);
    server.on('request', (request, response) => {
      void buffer(request).then((body) => {
        if (request.url !== '/v1/traces' || request.headers['content-type'] !== 'application/x-protobuf') {
          return response.writeHead(404).end();
        }
        receiver.headers.push(request.headers);
        if (receiver.status === 200) receiver.spans.push(...spansIn(body));
        return response.writeHead(receiver.status, { 'content-type': 'application/x-protobuf' }).end();
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** A field of a protobuf message: a number, or the bytes of a string or another message. */
type Field = bigint | Buffer;

/** Fields of a message, by their numbers; each may occur several times. */
class Message {
  readonly #fields = new Map<number, Field[]>();

  constructor(bytes: Buffer) {
    let at = 0;
    const varint = (): bigint => {
      let value = 0n;
      for (let shift = 0n; ; shift += 7n) {
        const byte = bytes[at++];
        value |= BigInt(byte & 127) << shift;
        if (byte < 128) return value;
      }
    };
    while (at < bytes.length) {
      const tag = Number(varint());
      this.#add(
        tag >> 3,
        this.#field(tag & 7, bytes, varint, (length) => (at += length) - length),
      );
    }
  }

  #field(type: number, bytes: Buffer, varint: () => bigint, take: (length: number) => number): Field {
    switch (type) {
      case 0:
        return varint();
      case 1:
        return bytes.readBigUInt64LE(take(8));
      case 2: {
        const length = Number(varint());
        const from = take(length);
        return bytes.subarray(from, from + length);
      }
      case 5:
        return BigInt(bytes.readUInt32LE(take(4)));
      default:
        throw new Error(`wire type ${type}`);
    }
  }

  #add(number: number, field: Field): void {
    this.#fields.set(number, [...(this.#fields.get(number) ?? []), field]);
  }

  messages(number: number): Message[] {
    return (this.#fields.get(number) ?? []).map((field) => new Message(field as Buffer));
  }

  has(number: number): boolean {
    return this.#fields.has(number);
  }

  bytes(number: number): Buffer {
    return (this.#fields.get(number)?.[0] as Buffer | undefined) ?? Buffer.alloc(0);
  }

  text(number: number): string {
    return this.bytes(number).toString();
  }

  integer(number: number): bigint {
    return (this.#fields.get(number)?.[0] as bigint | undefined) ?? 0n;
  }
}

/** Decodes an ExportTraceServiceRequest of OTLP 1. */
function spansIn(body: Buffer): ReceivedSpan[] {
  return new Message(body).messages(1).flatMap((resourceSpans) => {
    const [resource] = resourceSpans.messages(1).map((each) => attributesOf(each, 1));
    return resourceSpans
      .messages(2)
      .flatMap((scopeSpans) => scopeSpans.messages(2))
      .map((span) => spanOf(span, resource));
  });
}

function spanOf(span: Message, resource: Attributes): ReceivedSpan {
  const [status] = span.messages(15);
  return {
    traceId: span.bytes(1).toString('hex'),
    spanId: span.bytes(2).toString('hex'),
    traceState: span.text(3),
    parentSpanId: span.bytes(4).toString('hex'),
    name: span.text(5),
    kind: Number(span.integer(6)),
    durationMs: Number(span.integer(8) - span.integer(7)) / 1e6,
    attributes: attributesOf(span, 9),
    events: span.messages(11).map((event) => event.text(2)),
    links: span.messages(13).map((link) => link.bytes(2).toString('hex')),
    status: { code: Number(status?.integer(3) ?? 0), message: status?.text(2) ?? '' },
    resource,
  };
}

function attributesOf(message: Message, number: number): Attributes {
  return Object.fromEntries(
    message.messages(number).map((attribute): [string, Value] => {
      const [value] = attribute.messages(2);
      if (value.has(1)) return [attribute.text(1), value.text(1)];
      return [attribute.text(1), value.has(2) ? value.integer(2) === 1n : Number(value.integer(3))];
    }),
  );
}
