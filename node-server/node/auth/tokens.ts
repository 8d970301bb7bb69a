/**
 * What a client shows instead of its password. Tokens are no replicated state: a restart forgets simple ones, and clients
 * authenticate again.
 */
import type { AuthInfo } from '../../mvcc/auth/state.ts'
import type { AuthEffect } from '../../mvcc/results.ts'

/** A simple token is named by the log's entry that made it, so that every member knows it. */
export interface LoggedTokens {
  readonly kind: 'logged'
  /** Nobody can guess it. */
  newPrefix(): string
  /** Undefined: unknown here, or it has ended. Being asked for makes it live longer. */
  userOf(token: string): string | undefined
  /** Of the entry that made it; undefined for what is no such token. */
  indexOf(token: string): number | undefined
  applied(effect: AuthEffect): void
}

/** A signed token says itself who it is for, and since when. */
export interface SignedTokens {
  readonly kind: 'signed'
  /** Undefined when this member has only the key to verify with. */
  sign(info: AuthInfo): Promise<string | undefined>
  verify(token: string): Promise<AuthInfo | undefined>
}

export type Tokens = LoggedTokens | SignedTokens
