/** Calls of a gRPC server: bytes in, bytes out. Who knows what they mean decodes them. */
import { readFileSync } from 'node:fs'
import { Client, credentials, Metadata, type ChannelCredentials, type ServiceError } from '@grpc/grpc-js'

export interface ClientTls {
  readonly caFile: string | undefined
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
}

/** PEM, in memory. */
export interface ClientIdentity {
  readonly trusted: string
  readonly certificate: string
  readonly key: string
  /** What the server's certificate is to be valid for. */
  readonly serverName: string
}

export interface Duplex {
  /** Until it ends or is cancelled; then or at an error the iteration ends. No more is read ahead than a window of HTTP/2. */
  readonly messages: AsyncIterable<Buffer>
  send(request: Uint8Array): void
  cancel(): void
}

/** Of one message: an event has the longest value that `--max-request-bytes` lets anybody put, and what is around it. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024

const same = (bytes: Buffer): Buffer => bytes

export class GrpcClient {
  readonly #client: Client

  /** `url`: http or https. Throws what the disk does when a file of `tls` cannot be read. */
  constructor(url: string, tls: ClientTls | ClientIdentity) {
    const { host, protocol } = new URL(url)
    const secured = protocol === 'https:' ? secure(tls) : credentials.createInsecure()
    this.#client = new Client(host, secured, {
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      ...('serverName' in tls && { 'grpc.ssl_target_name_override': tls.serverName }),
    })
  }

  /** Rejects with an Error whose `details` are the server's words, and `code` its status. `token`: whose call it is; empty for nobody's. */
  unary(path: string, request: Uint8Array, timeoutMs: number, token = ''): Promise<Buffer> {
    const deadline = Date.now() + timeoutMs
    const metadata = new Metadata()
    if (token !== '') metadata.set('token', token)
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        ...([path, same, same, Buffer.from(request), metadata, { deadline }] as const),
        (error: ServiceError | null, answer?: Buffer) =>
          answer === undefined ? reject(error ?? new Error('no answer')) : resolve(answer),
      )
    })
  }

  /** Its messages, until it ends or is cancelled; then or at an error the iteration ends. */
  stream(path: string, request: Uint8Array): { readonly messages: AsyncIterable<Buffer>; cancel(): void } {
    const stream = this.#client.makeServerStreamRequest(path, same, same, Buffer.from(request))
    return {
      messages: stream as AsyncIterable<Buffer>,
      cancel: () => {
        stream.on('error', () => undefined) // of the cancellation
        stream.cancel()
      },
    }
  }

  /** Both ways. The server ends it when it knows no leader for longer than an election takes. */
  duplex(path: string): Duplex {
    const metadata = new Metadata()
    metadata.set('hasleader', 'true')
    const stream = this.#client.makeBidiStreamRequest(path, same, same, metadata)
    return {
      messages: stream as AsyncIterable<Buffer>,
      send: (request) => void stream.write(Buffer.from(request)),
      cancel: () => {
        stream.on('error', () => undefined) // of the cancellation
        stream.cancel()
      },
    }
  }

  close(): void {
    this.#client.close()
  }
}

function secure(tls: ClientTls | ClientIdentity): ChannelCredentials {
  if ('serverName' in tls)
    return credentials.createSsl(Buffer.from(tls.trusted), Buffer.from(tls.key), Buffer.from(tls.certificate))
  const { caFile, certFile, keyFile } = tls
  const read = (path: string | undefined): Buffer | null => (path === undefined ? null : readFileSync(path))
  return credentials.createSsl(read(caFile), read(keyFile), read(certFile))
}

/** What the server said, or why it was not reached. */
export function errorMessage(error: unknown): string {
  if (error instanceof Error && 'details' in error && typeof error.details === 'string' && error.details !== '')
    return error.details
  return error instanceof Error ? error.message : String(error)
}
