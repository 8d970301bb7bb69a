/**
 * Requests and answers as those see them who answer: what HTTP/1.1 and HTTP/2 have in common, whoever reads the connection.
 * Node's own classes for HTTP/1.1 have this form.
 */
import type { Readable, Writable } from 'node:stream'

/** By their names in lower case. */
export interface HttpHeaders {
  readonly [name: string]: string | string[] | undefined
  readonly host?: string | undefined
  readonly origin?: string | undefined
}

/** Its body is what is read from it. */
export interface HttpRequest extends Readable {
  readonly httpVersion: string
  readonly method?: string | undefined
  /** Path and query. */
  readonly url?: string | undefined
  readonly headers: HttpHeaders
  /** Of the connection; one with TLS also has `encrypted`. */
  readonly socket: { readonly remoteAddress?: string | undefined; readonly remotePort?: number | undefined }
  /** Whether the client has sent all of it. */
  readonly complete: boolean
}

/** Its body is what is written to it. */
export interface HttpResponse extends Writable {
  statusCode: number
  /** Before the first byte of the body. */
  setHeader(name: string, value: string | number | readonly string[]): this
  readonly headersSent: boolean
}

/** Answers every request that is not a gRPC call, whichever version of HTTP it came by. */
export type HttpHandler = (request: HttpRequest, response: HttpResponse) => void
