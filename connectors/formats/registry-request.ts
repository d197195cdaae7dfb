/**
 * One request to a schema registry, and the whole of its answer. Schemas are asked for seldom, so no
 * connection is kept; and no redirection is followed, so that a login never goes elsewhere.
 */
import { once } from 'node:events';
import { request as requestHttp, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { ConnectionOptions } from 'node:tls';

export interface RegistryRequest {
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly tls?: ConnectionOptions;
  readonly signal: AbortSignal;
}

export interface RegistryAnswer {
  readonly status: number;
  readonly contentType: string;
  /** Where it is to be asked instead. */
  readonly location: string | undefined;
  readonly text: string;
}

const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/** @throws what the system says of a connection that fails, or Error for an answer above 16 MiB */
export async function askRegistry(
  url: URL,
  { method, headers, body, tls, signal }: RegistryRequest,
): Promise<RegistryAnswer> {
  const options: RequestOptions = { method, headers, signal, agent: false };
  const request =
    url.protocol === 'https:'
      ? requestHttps(url, { ...options, ...tls })
      : requestHttp(url, options);
  // What breaks an answer off is told by the answer as well.
  request.on('error', () => undefined);
  request.end(body);
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  const { statusCode: status = 0, headers: told } = answer;
  const contentType = told['content-type'] ?? 'no content type';
  return { status, contentType, location: told.location, text: await textOf(answer) };
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) {
      throw new Error(`its answer is longer than ${String(ANSWER_BYTES_MAX)} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
