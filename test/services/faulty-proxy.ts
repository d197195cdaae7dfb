/**
 * An HTTP proxy that lies: it stands before a real server and spoils single exchanges, as a test says.
 * What it isn't told to spoil it passes on, byte for byte.
 */
import { once } from 'node:events';
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

export type Fault =
  /** Answered here with this status and error code of S3; never passed on. */
  | { readonly kind: 'refused'; readonly status: number; readonly code: string }
  /** Never passed on and never answered. */
  | { readonly kind: 'silent' }
  /** The connection is cut in place of passing it on. */
  | { readonly kind: 'reset' }
  /** Carried out, and the connection cut in place of the answer. */
  | { readonly kind: 'answerLost' }
  /** One bit of the answer's body is another, or of the request's. */
  | { readonly kind: 'answerFlipped' | 'requestFlipped' }
  /** The answer's body ends early: by a cut, in silence, or as if that were all there is. */
  | { readonly kind: 'answerCut' | 'answerStalls' | 'answerShortened' }
  /** A page of some other server. */
  | { readonly kind: 'otherAnswer' };

export interface ProxiedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

/** What happens to a request; undefined: nothing. */
export type FaultPlan = (request: ProxiedRequest) => Fault | undefined;

interface Exchange {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export class FaultyProxy {
  /** Requests that were spoiled. */
  faults = 0;
  plan: FaultPlan = () => undefined;

  private constructor(
    private readonly server: Server,
    private readonly upstream: URL,
  ) {}

  static async start(upstream: string): Promise<FaultyProxy> {
    const server = createServer();
    const proxy = new FaultyProxy(server, new URL(upstream));
    server.on('request', (request, response) => {
      proxy.#handle(request, response).catch(() => response.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  /** `http://HOST:PORT` */
  get endpoint(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Spoils the next `count` requests for which `matches` holds. */
  spoil(count: number, matches: (request: ProxiedRequest) => boolean, fault: Fault): void {
    let left = count;
    this.plan = (request) => {
      if (left === 0 || !matches(request)) return undefined;
      left -= 1;
      return fault;
    };
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const body = await bodyOf(request);
    const fault = this.plan({ method, path: url, headers });
    if (fault !== undefined) this.faults += 1;
    switch (fault?.kind) {
      case 'refused':
        response.writeHead(fault.status, { 'content-type': 'application/xml' });
        response.end(`<?xml version="1.0"?><Error><Code>${fault.code}</Code></Error>`);
        return;
      case 'otherAnswer':
        response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Please log in</html>');
        return;
      case 'silent':
        return;
      case 'reset':
        request.socket.resetAndDestroy();
        return;
      default: {
        const sent = fault?.kind === 'requestFlipped' ? flipped(body) : body;
        answer(response, await this.#passOn(request, sent), fault);
      }
    }
  }

  async #passOn(request: IncomingMessage, body: Buffer): Promise<Exchange> {
    const { method, url, headers } = request;
    const { hostname, port } = this.upstream;
    const passed = httpRequest({ hostname, port, method, path: url, headers, agent: false });
    passed.end(body);
    const [answered] = (await once(passed, 'response')) as [IncomingMessage];
    const { statusCode: status = 0 } = answered;
    return { status, headers: answered.headers, body: await bodyOf(answered) };
  }
}

function answer(
  response: ServerResponse,
  { status, headers, body }: Exchange,
  fault: Fault | undefined,
): void {
  const half = body.subarray(0, body.length >> 1);
  switch (fault?.kind) {
    case 'answerLost':
      response.socket?.resetAndDestroy();
      return;
    case 'answerCut':
      response.writeHead(status, headers);
      response.write(half, () => response.socket?.resetAndDestroy());
      return;
    case 'answerStalls':
      response.writeHead(status, headers).write(half);
      return;
    case 'answerShortened':
      response.writeHead(status, { ...headers, 'content-length': half.length }).end(half);
      return;
    case 'answerFlipped':
      response.writeHead(status, headers).end(flipped(body));
      return;
    default:
      response.writeHead(status, headers).end(body);
  }
}

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const middle = copy.length >> 1;
  copy[middle] = (copy[middle] ?? 0) ^ 1;
  return copy;
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of message) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
