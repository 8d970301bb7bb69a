/** A case: requests, one after the other, to one API server; what it answers is what is compared. */

export interface Request {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With its query. */
  readonly path: string
  /** As JSON, or the very text. */
  readonly body?: unknown
  readonly contentType?: string
  readonly accept?: string
}

export interface Answer {
  readonly status: number
  /** Of the header Warning, without the agent. */
  readonly warnings: readonly string[]
  /** Parsed when it is JSON. */
  readonly body: unknown
}

export interface Calls {
  /** What it answers is compared. */
  readonly send: (request: Request) => Promise<Answer>
  /** The first `count` events of a watch, or as many as come in a few seconds; compared, too. */
  readonly watch: (path: string, count: number) => Promise<readonly unknown[]>
}

export interface Case {
  readonly name: string
  readonly run: (calls: Calls) => Promise<void>
}

export interface Target {
  readonly name: string
  readonly calls: () => Calls & { readonly answers: readonly unknown[] }
  readonly close: () => Promise<void>
}
