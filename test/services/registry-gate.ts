/**
 * A gate before a schema registry for tests: HTTPS by a certificate of an authority that no machine knows, open
 * to one user and one token. In this process, so that it ends with it; it keeps of each request who asked for what.
 */
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { request, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { makeCertificates } from './kafka-security.js';

export interface GateSecrets {
  readonly username: string;
  readonly password: string;
  readonly token: string;
}

/** Secrets here guard nothing but tests. */
export const GATE_SECRETS: GateSecrets = {
  username: 'millrace',
  password: 'gate-password',
  token: 'gate-token',
};

export interface GateRequest {
  readonly method: string;
  readonly path: string;
  readonly scheme: 'Basic' | 'Bearer';
}

export class RegistryGate {
  /** Those that were let in. */
  readonly requests: GateRequest[] = [];

  private constructor(
    /** Of the registry behind the gate: `https://HOST:PORT/PATH` */
    readonly url: string,
    /** Files with secrets, as references name them. */
    readonly files: Readonly<
      Record<'authority' | 'certificate' | 'key' | 'password' | 'token', string>
    >,
    private readonly server: Server,
  ) {}

  /**
   * @param registry its URL
   * @param folder where certificates and secrets are put
   * @param wantsCertificate whether clients have to show one of the same authority
   */
  static async start(
    registry: string,
    folder: string,
    wantsCertificate = false,
  ): Promise<RegistryGate> {
    const certificates = join(folder, 'certificates');
    await mkdir(certificates);
    await makeCertificates(certificates);
    const files = {
      authority: join(certificates, 'authority.pem'),
      certificate: join(certificates, 'client.crt'),
      key: join(certificates, 'client.key'),
      password: join(folder, 'password'),
      token: join(folder, 'token'),
    };
    await writeFile(files.password, `${GATE_SECRETS.password}\n`);
    await writeFile(files.token, `${GATE_SECRETS.token}\n`);
    const server = createServer({
      cert: await readFile(join(certificates, 'broker.crt')),
      key: await readFile(join(certificates, 'broker.key')),
      ca: await readFile(files.authority),
      requestCert: wantsCertificate,
      rejectUnauthorized: wantsCertificate,
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const upstream = new URL(registry);
    const gate = new RegistryGate(`https://127.0.0.1:${port}${upstream.pathname}`, files, server);
    server.on('request', (asked: IncomingMessage, answer: ServerResponse) =>
      gate.#pass(upstream, asked, answer),
    );
    return gate;
  }

  async stop(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }

  #pass(upstream: URL, asked: IncomingMessage, answer: ServerResponse): void {
    const { method = '', url: path = '', headers } = asked;
    const { username, password, token } = GATE_SECRETS;
    const basic = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    if (headers.authorization !== basic && headers.authorization !== `Bearer ${token}`) {
      answer.writeHead(401, { 'content-type': 'text/html' }).end('<h1>Who are you?</h1>');
      return;
    }
    this.requests.push({
      method,
      path,
      scheme: headers.authorization === basic ? 'Basic' : 'Bearer',
    });
    const passed = request(
      new URL(path, upstream),
      { method, headers: { ...headers, host: upstream.host } },
      (behind) => {
        answer.writeHead(behind.statusCode ?? 0, behind.headers);
        behind.pipe(answer);
      },
    );
    passed.once('error', () => answer.writeHead(502).end());
    asked.pipe(passed);
  }
}
