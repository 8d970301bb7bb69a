/** One connection to one server, with calls as their messages. */
import { readFileSync } from 'node:fs'
import { Client, credentials, Metadata, type ClientDuplexStream } from '@grpc/grpc-js'
import type { Method, Part } from '../twin/methods.ts'

export const CALL_TIMEOUT_MS = 120_000
const same = (bytes: Buffer): Buffer => bytes

export class MemberClient {
  readonly #client: Client

  /** By TLS with a CA. */
  constructor(address: string, caFile?: string) {
    const channel = caFile === undefined ? credentials.createInsecure() : credentials.createSsl(readFileSync(caFile))
    this.#client = new Client(address, channel, {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.initial_reconnect_backoff_ms': 20,
      'grpc.max_reconnect_backoff_ms': 50,
      'grpc.use_local_subchannel_pool': 1,
      // Node refuses the address that it would be otherwise.
      ...(caFile === undefined ? {} : { 'grpc.ssl_target_name_override': 'localhost' }),
    })
  }

  /** Rejects with grpc-js' ServiceError (`code`, `details`). */
  async call<Request, Response>(
    { path, request, response }: Method<Request, Response>,
    part: Part<Request>,
    timeoutMs = CALL_TIMEOUT_MS,
  ): Promise<Response> {
    const bytes = Buffer.from(request.encode(request.fromPartial(part)).finish())
    const options = { deadline: Date.now() + timeoutMs }
    const answer = await new Promise<Buffer>((resolve, reject) => {
      this.#client.makeUnaryRequest(path, same, same, bytes, new Metadata(), options, (error, answer) =>
        error === null ? resolve(answer ?? Buffer.alloc(0)) : reject(error),
      )
    })
    return response.decode(answer)
  }

  /** Reads to the end of a server stream and drops what it brings. */
  async drain<Request, Response>({ path, request }: Method<Request, Response>, part: Part<Request>): Promise<void> {
    const bytes = Buffer.from(request.encode(request.fromPartial(part)).finish())
    const options = { deadline: Date.now() + CALL_TIMEOUT_MS }
    const stream = this.#client.makeServerStreamRequest(path, same, same, bytes, new Metadata(), options)
    stream.on('data', () => {})
    await new Promise<void>((resolve, reject) => void stream.once('end', resolve).once('error', reject))
  }

  /** The caller cancels it. */
  duplex({ path }: { readonly path: string }): ClientDuplexStream<Buffer, Buffer> {
    return this.#client.makeBidiStreamRequest(path, same, same)
  }

  close(): void {
    this.#client.close()
  }
}
