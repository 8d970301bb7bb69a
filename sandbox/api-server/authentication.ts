/**
 * Who sends a request: by a bearer token. The administrator's is handed in; service accounts get theirs by TokenRequest,
 * signed with a key of this process's store. It is a stand-in: nothing here protects anything but a laptop's loopback.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { User } from './rest/call.ts'

export interface TokenUser extends User {
  readonly token: string
}

const PREFIX = 'sandbox-service-account'
const AUTHENTICATED = 'system:authenticated'

export class Authenticator {
  readonly #users: ReadonlyMap<string, User>
  readonly #key: string

  /** `key`: signs the tokens of service accounts; the same one after a restart. */
  constructor(users: readonly TokenUser[], key: string) {
    this.#key = key
    this.#users = new Map(users.map(({ token, name, groups }) => [token, { name, groups: [...groups, AUTHENTICATED] }]))
  }

  /** Undefined: nobody's. */
  authenticate(token: string): User | undefined {
    return this.#users.get(token) ?? this.#serviceAccount(token)
  }

  mint(namespace: string, name: string): string {
    const claim = Buffer.from(JSON.stringify([namespace, name])).toString('base64url')
    return `${PREFIX}.${claim}.${this.#sign(claim)}`
  }

  #sign(claim: string): string {
    return createHmac('sha256', this.#key).update(claim).digest('base64url')
  }

  #serviceAccount(token: string): User | undefined {
    const [prefix, claim = '', signature = ''] = token.split('.')
    const wanted = Buffer.from(this.#sign(claim))
    const given = Buffer.from(signature)
    if (prefix !== PREFIX || wanted.length !== given.length || !timingSafeEqual(wanted, given)) return undefined
    const names: unknown = JSON.parse(Buffer.from(claim, 'base64url').toString())
    if (!Array.isArray(names)) return undefined
    const [namespace, name] = names.map(String)
    return {
      name: `system:serviceaccount:${namespace}:${name}`,
      groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, AUTHENTICATED],
    }
  }
}

export const ANONYMOUS: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] }
