/**
 * The REST API over HTTP: every route of the contract, with its validation, limits and the checks
 * that keep web pages from other origins out. It asks a `RestBackend` for every answer and must
 * never know how the cluster works.
 */
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import type { Static, TSchema } from '@sinclair/typebox';
import { BUNDLE_CONTENT_TYPE, ROUTES, type Route, type RouteName } from '../api/rest/contract.js';
import type { ErrorBody } from '../api/rest/cluster-dto.js';
import { BUNDLE_LIMITS } from '../core/bundle.js';
import { MillraceError, toMillraceError } from '../core/errors.js';
import {
  describeListenError,
  formatAddress,
  isLoopback,
  type BindAddress,
} from './bind-address.js';
import { COORDINATOR_LIMITS } from './limits.js';
import { httpStatusOf } from './rest-status.js';

type ParamsOf<R> = R extends { readonly params: infer S extends TSchema } ? Static<S> : undefined;
type BodyOf<R> = R extends { readonly body: infer B }
  ? B extends TSchema
    ? Static<B>
    : Uint8Array
  : undefined;
type ResponseOf<R> = R extends { readonly response: infer S extends TSchema } ? Static<S> : never;

/** One answer per route of the contract; whatever it throws becomes an error body. */
export type RestBackend = {
  readonly [N in RouteName]: (
    params: ParamsOf<(typeof ROUTES)[N]>,
    body: BodyOf<(typeof ROUTES)[N]>,
  ) => Promise<ResponseOf<(typeof ROUTES)[N]>>;
};

/** Text in Prometheus' exposition format. */
export interface MetricsSource {
  readonly contentType: string;
  metrics(): Promise<string>;
}

export interface RestServer {
  /** `host:port`. */
  readonly address: string;
  close(): Promise<void>;
}

/** @throws MillraceError PORT_IN_USE, USAGE */
export async function startRestServer(
  address: BindAddress,
  backend: RestBackend,
  metrics: MetricsSource,
): Promise<RestServer> {
  const server = fastify({
    bodyLimit: COORDINATOR_LIMITS.restBodyBytesMax,
    requestTimeout: COORDINATOR_LIMITS.restRequestTimeoutMs,
    forceCloseConnections: true,
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
  });
  server.server.maxConnections = COORDINATOR_LIMITS.restConnectionsMax;
  guardOrigin(server, address.host);
  server.removeAllContentTypeParsers();
  addParsers(server);
  server.setErrorHandler((error, _request, reply) => {
    const described = describeRequestError(error);
    return reply.status(httpStatusOf(described)).send(errorBody(described));
  });
  server.setNotFoundHandler((request, reply) =>
    reply
      .status(404)
      .send(
        errorBody(
          new MillraceError(
            'USAGE',
            `there is no ${request.method} ${request.url}; is this the right version of the API?`,
          ),
        ),
      ),
  );
  for (const name of Object.keys(ROUTES) as RouteName[]) addRoute(server, name, backend);
  server.get('/metrics', async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.metrics()),
  );
  try {
    await server.listen({ host: address.host, port: address.port });
  } catch (error) {
    await server.close();
    throw describeListenError('the coordinator (REST)', address, error);
  }
  const bound = server.server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port;
  return {
    address: formatAddress({ host: address.host, port }),
    close: () => server.close(),
  };
}

function addRoute(server: FastifyInstance, name: RouteName, backend: RestBackend): void {
  const route: Route = ROUTES[name];
  const answer = backend[name] as (params: unknown, body: unknown) => Promise<unknown>;
  server.route({
    method: route.method,
    url: route.path,
    schema: {
      ...(route.params === undefined ? {} : { params: route.params }),
      ...(route.body === undefined || route.body === 'bytes' ? {} : { body: route.body }),
    },
    ...(route.body === 'bytes' ? { bodyLimit: BUNDLE_LIMITS.archiveBytesMax } : {}),
    handler: async (request, reply) => {
      if (route.body === 'bytes' && !(request.body instanceof Uint8Array)) {
        throw new MillraceError(
          'USAGE',
          `${route.method} ${route.path} takes bytes; send them as ${BUNDLE_CONTENT_TYPE}`,
        );
      }
      const body = await answer(request.params, request.body);
      return reply.status(route.status).send(body);
    },
  });
}

/** A body is JSON or a bundle; a request without one may name any content type. */
function addParsers(server: FastifyInstance): void {
  server.addContentTypeParser(
    'application/json',
    { parseAs: 'string' },
    server.getDefaultJsonParser('error', 'error'),
  );
  server.addContentTypeParser(BUNDLE_CONTENT_TYPE, { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
}

/**
 * A browser on this machine can be made to send requests by any page it shows. So a request must
 * name this server as its host (no other name that resolves here), and come from no other origin.
 */
function guardOrigin(server: FastifyInstance, boundHost: string): void {
  server.addHook('onRequest', async (request, reply) => {
    const { host = '', origin } = request.headers;
    const hostAllowed = !isLoopback(boundHost) || isLoopback(hostNameOf(host));
    const originAllowed = origin === undefined || origin === `http://${host}`;
    if (hostAllowed && originAllowed) return undefined;
    return reply.status(403).send(errorBody(refusedOrigin(request)));
  });
}

function refusedOrigin({ headers }: FastifyRequest): MillraceError {
  return new MillraceError(
    'USAGE',
    `a request for host "${headers.host ?? ''}" from origin "${headers.origin ?? ''}" is refused; ` +
      'use the address that the cluster printed, from this machine',
  );
}

/** The host of a Host header without its port and brackets. */
function hostNameOf(header: string): string {
  return header.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}

function describeRequestError(error: unknown): MillraceError {
  if (!(error instanceof Error) || !('statusCode' in error)) return toMillraceError(error);
  if (error.statusCode === 413) {
    return new MillraceError(
      'BUNDLE_TOO_LARGE',
      `the request is larger than ${BUNDLE_LIMITS.archiveBytesMax} bytes (a bundle) or ` +
        `${COORDINATOR_LIMITS.restBodyBytesMax} (anything else); leave large files out of it`,
    );
  }
  return new MillraceError(
    'USAGE',
    `the request is not understood: ${error.message}; see the API's contract`,
    { cause: error },
  );
}

function errorBody(error: MillraceError): ErrorBody {
  return { error: { code: error.code, message: error.message } };
}
