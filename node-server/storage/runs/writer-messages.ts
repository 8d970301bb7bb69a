/** What reader and writer of a store tell each other, in the order in which it is told. */
import { StoreDamaged, StoreInDoubt } from '../../mvcc/backend.ts'

export type ToWriter =
  /** As rows.ts has them; all that came since the last commit are the rows of the next one. */
  | { readonly kind: 'rows'; readonly rows: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'commit'; readonly id: number; readonly removalsFollow: boolean }
  | { readonly kind: 'defragment'; readonly id: number }
  | { readonly kind: 'opened'; readonly number: number }
  | { readonly kind: 'close'; readonly id: number }

export type FromWriter =
  /** As manifest.ts has it; before whatever is done by it. */
  | { readonly kind: 'installed'; readonly manifest: Uint8Array }
  /** The first message: the store can be read, and what is asked is done. */
  | { readonly kind: 'started' }
  | { readonly kind: 'done'; readonly id: number }
  /** Without an `id` it is the writer itself that failed, to start. */
  | { readonly kind: 'failed'; readonly id: number | undefined; readonly failure: Failure }

/** An error that can be sent to another thread. */
export interface Failure {
  readonly kind: 'damaged' | 'in-doubt' | 'other'
  readonly message: string
  /** Of the damage. */
  readonly where: string
  readonly cause: string | undefined
}

export function failureOf(error: unknown): Failure {
  const kind = error instanceof StoreDamaged ? 'damaged' : error instanceof StoreInDoubt ? 'in-doubt' : 'other'
  const where = error instanceof StoreDamaged ? error.where : ''
  const full = error instanceof Error ? error.message : String(error)
  const message = kind === 'damaged' ? full.slice(`${where}: `.length) : full
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : undefined
  return { kind, message, where, cause }
}

export function errorOf({ kind, message, where, cause }: Failure): Error {
  if (kind === 'damaged') return new StoreDamaged(where, message)
  const options = cause === undefined ? {} : { cause: new Error(cause) }
  return kind === 'in-doubt' ? new StoreInDoubt(message, options) : new Error(message, options)
}
