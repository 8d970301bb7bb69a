/** What the torture asks of the process that has the store open, and what that answers. Both carry the request's number. */
import type { Commit } from './content.ts'
import type { Rows } from './rows.ts'

export type Order =
  /** Opens the store, or makes it. */
  | { readonly kind: 'open'; readonly path: string }
  | { readonly kind: 'close' }
  | { readonly kind: 'commit'; readonly commit: Commit }
  | { readonly kind: 'copy'; readonly path: string }
  | { readonly kind: 'defragment' }
  /** Of the open store, or of one that nobody has open. */
  | { readonly kind: 'read'; readonly path?: string }
  /** Pins the store. */
  | { readonly kind: 'hold' }
  /** Makes a store of what was pinned, and lets go of it. */
  | { readonly kind: 'release'; readonly path: string }

export interface Request {
  readonly number: number
  readonly order: Order
}

export type Answer = { readonly number: number } & ({ readonly outcome: Outcome } | { readonly failure: string })

/** What was read, by `read`. */
export type Outcome = { readonly rows?: Rows }
