/** A TCP proxy whose server may be heard but, while told so, can't answer. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export class AnswerDroppingProxy {
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  #dropping = false;

  private constructor(target: string) {
    const [host = '', port = ''] = target.split(':');
    this.#server = createServer((client) => {
      const server = connect(Number(port), host);
      for (const socket of [client, server]) {
        this.#connections.add(socket);
        socket.on('error', () => socket.destroy());
        socket.on('close', () => {
          this.#connections.delete(socket);
          client.destroy();
          server.destroy();
        });
      }
      client.on('data', (bytes) => server.write(bytes));
      server.on('data', (bytes) => {
        if (!this.#dropping) client.write(bytes);
      });
    });
  }

  static async start(target: string): Promise<AnswerDroppingProxy> {
    const proxy = new AnswerDroppingProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get endpoint(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  dropAnswers(): void {
    this.#dropping = true;
  }

  /** Breaks the connections that lost answers, and lets new ones work. */
  passAnswers(): void {
    this.#dropping = false;
    for (const socket of this.#connections) socket.destroy();
  }

  async stop(): Promise<void> {
    this.passAnswers();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
