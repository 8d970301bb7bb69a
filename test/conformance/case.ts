/** A case: requests, one after the other, to one API server; what it answers is what is compared. */

export interface Request {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With its query. */
  readonly path: string
  /** As JSON, or the very text or bytes. */
  readonly body?: unknown
  readonly contentType?: string
  readonly accept?: string
  /** Who asks; default: the administrator. The reader may do what the case allows. */
  readonly as?: 'admin' | 'reader'
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
  /** Not compared: what a case needs to get where its question is. Fails the case when it is refused. */
  readonly ask: (request: Request) => Promise<Answer>
  /**
   * For what a control loop does, sooner or later: asks again until `isThere` holds for the body, for at most 15 seconds;
   * what `view` takes of the last body is compared.
   */
  readonly settled: (
    request: Request,
    isThere: (body: unknown) => boolean,
    view: (body: unknown) => unknown,
  ) => Promise<void>
  /** Forgets every version of every object but the newest. */
  readonly forget: () => Promise<void>
  /** The first `count` events of a watch, or as many as come in a few seconds; compared, too. */
  readonly watch: (path: string, count: number) => Promise<readonly unknown[]>
}

export interface Case {
  readonly name: string
  /** Runs after all others, when control loops act on what is there. */
  readonly withControllers?: boolean
  readonly run: (calls: Calls) => Promise<void>
}

export interface Target {
  readonly name: string
  readonly calls: () => Calls & { readonly answers: readonly unknown[] }
  readonly startControllers: () => Promise<void>
  readonly close: () => Promise<void>
}
