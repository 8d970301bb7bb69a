/**
 * Who asks, and which methods are for whom. Every method names its {@link Access}, so none is open because somebody forgot it.
 *
 * A token in the metadata `token` or `authorization` says who asks; without one, where clients must show a certificate, its
 * common name does. What a user may do with keys is not decided here but where they are read, and for what goes through the
 * log when it is applied (`mvcc/auth`).
 * Source: etcd's server/auth/store.go (AuthInfoFromCtx, AuthInfoFromTLS) and etcdserver/api/v3rpc/auth.go.
 */
import { err, ok, type Result } from '../../../lib/result.ts'
import type { CallContext, RpcStatus } from '../../grpc/service.ts'
import { refuseUnlessAdmin, refuseUnlessKnown } from '../../mvcc/auth/permissions.ts'
import type { AuthInfo } from '../../mvcc/auth/state.ts'
import type { Tokens } from '../../node/auth/tokens.ts'
import type { NodePort } from '../../node/ports.ts'
import { statusOf } from './errors.ts'

export type Access =
  /** Nothing of the cluster's data is in it, or it is how somebody begins. */
  | 'anybody'
  /** Whoever says who it is. */
  | 'known'
  /** Whoever has the role root. */
  | 'admin'
  /** The handler decides by what is asked for: it calls {@link Gate.identify} at the moment that counts. */
  | 'handler'

/** Undefined: nobody said, or authentication is off. */
export type Identified = Result<AuthInfo | undefined, RpcStatus>

export interface GateParts {
  readonly node: NodePort
  readonly tokens: Tokens
  /** Clients must show a certificate of a trusted CA: then its common name is a user's. */
  readonly isClientCertAuth: boolean
}

const NOBODY_ASKS: Identified = ok(undefined)

export class Gate {
  readonly node: NodePort
  readonly #tokens: Tokens
  readonly #isClientCertAuth: boolean

  constructor({ node, tokens, isClientCertAuth }: GateParts) {
    this.node = node
    this.#tokens = tokens
    this.#isClientCertAuth = isClientCertAuth
  }

  /** At once where nothing has to be waited for. A user that is named need not exist. */
  identify(context: CallContext): Identified | Promise<Identified> {
    if (!this.node.store.auth.isEnabled) return NOBODY_ASKS
    const given = context.metadata('token') ?? context.metadata('authorization')
    if (given === undefined) return ok(this.#byCertificate(context))
    const token = given.replace(/^Bearer /, '')
    return this.#tokens.kind === 'signed' ? this.#bySignature(token) : this.#byToken(token)
  }

  /** Whether the method is for who calls it. */
  admit(access: Access, context: CallContext): Identified | Promise<Identified> {
    if (access === 'anybody' || access === 'handler' || !this.node.store.auth.isEnabled) return NOBODY_ASKS
    const identified = this.identify(context)
    return identified instanceof Promise
      ? identified.then((found) => this.#judge(access, found))
      : this.#judge(access, identified)
  }

  #judge(access: 'known' | 'admin', identified: Identified): Identified {
    if (!identified.ok) return identified
    const { auth } = this.node.store
    const refuse = access === 'admin' ? refuseUnlessAdmin : refuseUnlessKnown
    const refusal = refuse(auth, identified.value)
    return refusal === undefined ? identified : err(statusOf(refusal))
  }

  #byToken(token: string): Identified | Promise<Identified> {
    const identified = this.#known(token)
    if (identified !== undefined) return identified
    const index = this.#tokens.kind === 'logged' ? this.#tokens.indexOf(token) : undefined
    const isLater = index !== undefined && index > this.node.store.appliedIndex
    return isLater ? this.#onceApplied(token) : err(statusOf('invalid-auth-token'))
  }

  /** Another member has made it: its entry is committed, and on its way here. */
  async #onceApplied(token: string): Promise<Identified> {
    const barrier = await this.node.linearizableBarrier()
    if (!barrier.ok) return err(statusOf(barrier.error))
    return this.#known(token) ?? err(statusOf('invalid-auth-token'))
  }

  #known(token: string): Identified | undefined {
    const username = this.#tokens.kind === 'logged' ? this.#tokens.userOf(token) : undefined
    return username === undefined ? undefined : ok({ username, revision: this.node.store.auth.revision })
  }

  async #bySignature(token: string): Promise<Identified> {
    const info = this.#tokens.kind === 'signed' ? await this.#tokens.verify(token) : undefined
    return info === undefined ? err(statusOf('invalid-auth-token')) : ok(info)
  }

  /** A gateway's certificate is not that of who asks through it. */
  #byCertificate(context: CallContext): AuthInfo | undefined {
    const { commonName } = context
    if (!this.#isClientCertAuth || commonName === undefined) return undefined
    if (context.metadata('grpcgateway-accept') !== undefined) return undefined
    return { username: commonName, revision: this.node.store.auth.revision }
  }
}
