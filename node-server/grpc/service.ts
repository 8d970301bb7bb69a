/**
 * What an engine serves and what a handler is given: bytes in, bytes out, and a status. Handlers know no engine, engines
 * know no etcd; a second engine can take the place of the first without a change in any handler.
 */
import type { Result } from '../../lib/result.ts'

/** Status codes of gRPC by the names that its documentation uses. */
export type RpcCode =
  | 'OK'
  | 'Canceled'
  | 'Unknown'
  | 'InvalidArgument'
  | 'DeadlineExceeded'
  | 'NotFound'
  | 'AlreadyExists'
  | 'PermissionDenied'
  | 'ResourceExhausted'
  | 'FailedPrecondition'
  | 'Aborted'
  | 'OutOfRange'
  | 'Unimplemented'
  | 'Internal'
  | 'Unavailable'
  | 'DataLoss'
  | 'Unauthenticated'

/** Why a call failed, as the client gets to see it. */
export interface RpcStatus {
  readonly code: Exclude<RpcCode, 'OK'>
  readonly message: string
  /** A google.rpc.Status with more about it, encoded (`grpc-status-details-bin`). */
  readonly details?: Uint8Array
}

/** What an answer says beside its messages; values of names that end in `-bin` are base64. */
export interface AnswerMetadata {
  /** Leaves before the first message; after it, nothing is added. */
  addHeader(name: string, value: string): void
  /** Leaves with the status. */
  addTrailer(name: string, value: string): void
}

/** Everything is computed when asked for: a handler that asks for nothing costs nothing. */
export interface CallContext {
  /** First value of a request header, by its lower-case name. */
  metadata(name: string): string | undefined
  /** Aborts when the client has gone, has cancelled, or its deadline has passed. */
  readonly signal: AbortSignal
  /** Address and port of the client. */
  readonly peer: string
  /** Of the certificate that the client has shown, when it comes from a trusted CA. */
  readonly commonName?: string | undefined
  /** Undefined where a call can say nothing but messages and a status. */
  readonly answer?: AnswerMetadata
}

type UnaryAnswer = Result<Uint8Array, RpcStatus>

/** May answer at once. A rejection is a bug or a broken environment: the engine reports it and answers Internal. */
export type UnaryHandler = (request: Uint8Array, context: CallContext) => UnaryAnswer | Promise<UnaryAnswer>

/** A response as parts that follow one another. They may be in other responses, too: nobody changes them. */
export type ResponseParts = readonly Uint8Array[]

export interface RpcStream {
  /** Ends when the client has half-closed or is gone. At most one loop may read it. */
  readonly requests: AsyncIterable<Uint8Array>
  /** Several at once cost less than one after the other. False: there is no room for more, or the client is gone. */
  write(responses: readonly ResponseParts[]): boolean
  /**
   * For who was told so, at once: resolves true when there is room again, false when the client is gone and nothing will reach
   * it any more.
   */
  drained(): Promise<boolean>
}

/** One response, and until there is room for another. False: nothing reaches the client any more. */
export async function send(stream: RpcStream, response: Uint8Array): Promise<boolean> {
  return stream.write([[response]]) || stream.drained()
}

/** Resolves to undefined for OK. The call ends when it resolves. */
export type StreamHandler = (stream: RpcStream, context: CallContext) => Promise<RpcStatus | undefined>

export type Method =
  | { readonly kind: 'unary'; readonly handle: UnaryHandler }
  | { readonly kind: 'stream'; readonly handle: StreamHandler }

/** Methods by their path, such as `/etcdserverpb.KV/Put`. */
export type ServiceTable = Readonly<Record<string, Method>>

/** What an engine tells while it serves. Calls are cheap and never throw. */
export interface RpcObserver {
  /** Asked once for each method when the engine starts, so that a call costs no look-up. */
  method(path: string, kind: Method['kind']): CallObserver
  receivedBytes(count: number): void
  sentBytes(count: number): void
  /** A handler rejected: the log must have it, the client only learns Internal. */
  failed(path: string, error: unknown): void
}

export interface CallObserver {
  started(): void
  /** Exactly once for every call that started. */
  handled(code: RpcCode, seconds: number): void
}
