/** One of the two servers as a client sees it: calls by path and bytes, and what identifies the server in headers. */
import { Client, credentials, Metadata, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js'

/** The status of a call that did not end well, or the bytes of its answers. */
export type Outcome<Answer> =
  | { readonly kind: 'answer'; readonly value: Answer }
  | { readonly kind: 'status'; readonly code: number; readonly text: string }

export type ByteStream = ClientDuplexStream<Buffer, Buffer>

const CALL_TIMEOUT_MS = 10_000
/** A range of everything may be long; the default of the library is 4 MiB. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024
const same = (bytes: Buffer): Buffer => bytes

export class Side {
  readonly name: 'etcd' | 'ours'
  readonly #client: Client

  constructor(name: 'etcd' | 'ours', port: number) {
    this.name = name
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 200,
      'grpc.use_local_subchannel_pool': 1,
    })
  }

  unary(path: string, request: Uint8Array, headers: Readonly<Record<string, string>> = {}): Promise<Outcome<Buffer>> {
    const options = { deadline: Date.now() + CALL_TIMEOUT_MS }
    return new Promise((resolve) => {
      const ended = (error: ServiceError | null, answer?: Buffer): void =>
        resolve(
          error === null
            ? { kind: 'answer', value: answer ?? Buffer.alloc(0) }
            : { kind: 'status', code: error.code, text: error.details },
        )
      const bytes = Buffer.from(request)
      this.#client.makeUnaryRequest(path, same, same, bytes, metadataOf(headers), options, ended)
    })
  }

  /** All messages up to the end; a bad end takes their place. */
  serverStream(
    path: string,
    request: Uint8Array,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Outcome<readonly Buffer[]>> {
    const options = { deadline: Date.now() + CALL_TIMEOUT_MS }
    const messages: Buffer[] = []
    return new Promise((resolve) => {
      const bytes = Buffer.from(request)
      const call = this.#client.makeServerStreamRequest(path, same, same, bytes, metadataOf(headers), options)
      call.on('data', (message: Buffer) => messages.push(message))
      call.on('end', () => resolve({ kind: 'answer', value: messages }))
      call.on('error', (error: ServiceError) => resolve({ kind: 'status', code: error.code, text: error.details }))
    })
  }

  /** The caller listens to `data` and `error`, and cancels. */
  duplex(path: string, headers: Readonly<Record<string, string>> = {}): ByteStream {
    return this.#client.makeBidiStreamRequest(path, same, same, metadataOf(headers))
  }

  close(): void {
    this.#client.close()
  }
}

function metadataOf(headers: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
  return metadata
}
