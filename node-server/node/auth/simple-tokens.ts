/** etcd's simple tokens: random letters and the index of their entry. Source: etcd's server/auth/simple_token.go. */
import { randomInt } from 'node:crypto'
import type { Clock } from '../../../lib/clock.ts'
import { MAX_SIMPLE_TOKENS } from '../../limits.ts'
import type { AuthEffect } from '../../mvcc/results.ts'
import type { LoggedTokens } from './tokens.ts'

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
const PREFIX_LENGTH = 16
const TOKEN = /^[^.]*\.(\d{1,16})$/

interface Known {
  readonly username: string
  readonly untilMs: number
}

export class SimpleTokens implements LoggedTokens {
  readonly kind = 'logged'
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #ttlMs: number
  readonly #maxTokens: number
  /** All live equally long from when they were last used, so the first one ends first. */
  readonly #known = new Map<string, Known>()

  constructor(clock: Pick<Clock, 'monotonicMs'>, ttlMs: number, maxTokens = MAX_SIMPLE_TOKENS) {
    this.#clock = clock
    this.#ttlMs = ttlMs
    this.#maxTokens = maxTokens
  }

  get size(): number {
    return this.#known.size
  }

  newPrefix(): string {
    return Array.from({ length: PREFIX_LENGTH }, () => LETTERS[randomInt(LETTERS.length)]).join('')
  }

  userOf(token: string): string | undefined {
    const known = this.#known.get(token)
    if (known === undefined) return undefined
    this.#known.delete(token)
    if (known.untilMs <= this.#clock.monotonicMs()) return undefined
    this.#add(token, known.username)
    return known.username
  }

  indexOf(token: string): number | undefined {
    const index = TOKEN.exec(token)?.[1]
    return index === undefined ? undefined : Number(index)
  }

  applied(effect: AuthEffect): void {
    if (effect.kind === 'authenticated') this.#add(effect.token, effect.username)
    else if (effect.kind === 'disabled') this.#known.clear()
    else if (effect.kind === 'signed-out')
      for (const [token, { username }] of this.#known) if (username === effect.username) this.#known.delete(token)
  }

  /** The token that was not used for longest makes room. */
  #add(token: string, username: string): void {
    const nowMs = this.#clock.monotonicMs()
    this.#known.set(token, { username, untilMs: nowMs + this.#ttlMs })
    for (const [first, { untilMs }] of this.#known) {
      if (untilMs > nowMs && this.#known.size <= this.#maxTokens) break
      this.#known.delete(first)
    }
  }
}
