/**
 * Signed tokens (RFC 7519) with etcd's claims: username, revision, exp. Source: etcd's server/auth/jwt.go. The library is loaded
 * with the first token.
 */
import type { KeyObject } from 'node:crypto'
import type { Clock } from '../../../lib/clock.ts'
import type { AuthInfo } from '../../mvcc/auth/state.ts'
import type { SignMethod } from './sign-methods.ts'
import type { SignedTokens } from './tokens.ts'

export interface JwtKeys {
  readonly method: SignMethod
  readonly verifyKey: KeyObject
  /** Undefined: tokens are made elsewhere. */
  readonly signKey: KeyObject | undefined
  readonly ttlMs: number
}

export class JwtTokens implements SignedTokens {
  readonly kind = 'signed'
  readonly #keys: JwtKeys
  readonly #clock: Pick<Clock, 'wallMs'>

  constructor(keys: JwtKeys, clock: Pick<Clock, 'wallMs'>) {
    this.#keys = keys
    this.#clock = clock
  }

  async sign({ username, revision }: AuthInfo): Promise<string | undefined> {
    const { method, signKey, ttlMs } = this.#keys
    if (signKey === undefined) return undefined
    const { SignJWT } = await import('jose')
    const expires = Math.floor((this.#clock.wallMs() + ttlMs) / 1000)
    return new SignJWT({ username, revision, exp: expires })
      .setProtectedHeader({ alg: method, typ: 'JWT' })
      .sign(signKey)
  }

  /** Only by the method that was configured: what the token says of its own is not believed. */
  async verify(token: string): Promise<AuthInfo | undefined> {
    const { method, verifyKey } = this.#keys
    const { jwtVerify } = await import('jose')
    try {
      const options = { algorithms: [method], currentDate: new Date(this.#clock.wallMs()) }
      const { payload } = await jwtVerify(token, verifyKey, options)
      const { username, revision } = payload
      if (typeof username !== 'string' || typeof revision !== 'number') return undefined
      return { username, revision: Math.max(0, Math.floor(revision)) }
    } catch {
      return undefined
    }
  }
}
