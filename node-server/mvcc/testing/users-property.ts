/**
 * Who may do what, against a model that knows no merged ranges and keeps nothing (reliability: auth is checked at the applied
 * revision): requests in the names of users, identified at this auth revision or another, while users, roles and leases
 * change. A second store applies the same, is read again from its tables now and then, and must say the same to everybody.
 */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { Permission_Type } from '../../proto/generated/etcd/auth.ts'
import {
  AuthUserDeleteRequest,
  DeleteRangeRequest,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  PutRequest,
  TxnRequest,
  type RequestOp,
} from '../../proto/generated/etcd/rpc.ts'
import { encodeAuthChange } from '../auth/change.ts'
import { isAuthErrorKind } from '../auth/errors.ts'
import { refuseRange } from '../auth/requests.ts'
import type { AuthInfo } from '../auth/state.ts'
import type { StoreCommand } from '../command.ts'
import { hashState } from './hash-state.ts'
import { keysOfLease } from '../lease.ts'
import { MemoryBackend } from '../memory-backend.ts'
import { Store } from '../store.ts'
import { deleteRequest, opDelete, opPut, opRange, opTxn, putRequest, txnRequest } from './requests.ts'
import {
  addUser,
  applyAs,
  enableWith,
  grantPermission,
  grantRole,
  revokePermission,
  revokeRole,
  said,
} from './users.ts'

const KEYS = ['a', 'b', 'c', 'd'] as const
/** Between two of the keys, and above the last one, a grant has all or none. */
const SAMPLES = [...KEYS.flatMap((key) => [key, `${key}\0`]), '\xff']
const USERS = ['u', 'v'] as const
const LEASES = [1n, 2n] as const

interface Span {
  readonly key: string
  readonly end: string
}

type Operation =
  | { readonly kind: 'put'; readonly key: string; readonly lease: bigint; readonly prevKv: boolean }
  | ({ readonly kind: 'delete'; readonly prevKv: boolean } & Span)
  | ({ readonly kind: 'range' } & Span)
  | { readonly kind: 'txn'; readonly success: readonly Operation[]; readonly failure: readonly Operation[] }

type Step =
  | { readonly kind: 'ask'; readonly who: string | undefined; readonly late: number; readonly operation: Operation }
  | { readonly kind: 'revoke'; readonly who: string; readonly lease: bigint }
  | ({ readonly kind: 'grant'; readonly role: string; readonly type: keyof typeof Permission_Type } & Span)
  | ({ readonly kind: 'take'; readonly role: string } & Span)
  | { readonly kind: 'role' | 'no role'; readonly user: string; readonly role: string }
  | { readonly kind: 'user' | 'no user'; readonly user: string }
  | { readonly kind: 'restart' }

const key = fc.constantFrom(...KEYS)
const span: fc.Arbitrary<Span> = fc.record({ key, end: fc.constantFrom('', '', '\0', ...KEYS) })
const lease = fc.constantFrom(0n, 0n, ...LEASES)
const user = fc.constantFrom(...USERS)
const { operation } = fc.letrec<{ operation: Operation }>((tie) => ({
  operation: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({ kind: fc.constant('put' as const), key, lease, prevKv: fc.boolean() }),
    fc.record({ kind: fc.constant('range' as const), span }).map(({ kind, span }) => ({ kind, ...span })),
    fc
      .record({ kind: fc.constant('delete' as const), span, prevKv: fc.boolean() })
      .map(({ span, ...rest }) => ({ ...rest, ...span })),
    fc.record({
      kind: fc.constant('txn' as const),
      success: fc.array(tie('operation'), { maxLength: 2 }),
      failure: fc.array(tie('operation'), { maxLength: 2 }),
    }),
  ),
}))
const valid = span.filter(({ key, end }) => end === '' || end === '\0' || key < end)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('ask' as const),
      who: fc.constantFrom('u', 'u', 'v', 'v', 'root', undefined),
      late: fc.constantFrom(0, 0, 0, 0, 1, -1),
      operation,
    }),
  },
  {
    // So that leases have keys of several users.
    weight: 2,
    arbitrary: fc.record({ key, lease: fc.constantFrom(...LEASES) }).map(({ key, lease }) => ({
      kind: 'ask' as const,
      who: 'root',
      late: 0,
      operation: { kind: 'put' as const, key, lease, prevKv: false },
    })),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('revoke' as const), who: user, lease: fc.constantFrom(...LEASES) }),
  },
  {
    weight: 3,
    arbitrary: fc
      .record({ span: valid, role: user, type: fc.constantFrom('READ', 'WRITE', 'READWRITE') })
      .map(({ span, ...rest }) => ({ kind: 'grant' as const, ...rest, ...span })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ span: valid, role: user })
      .map(({ span, role }) => ({ kind: 'take' as const, role, ...span })),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('role', 'no role'), user, role: user }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('user', 'no user'), user }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' } as const) },
)

interface Grant extends Span {
  readonly type: string
}

class Model {
  revision: number
  readonly users = new Map<string, Set<string>>([
    ['root', new Set(['root'])],
    ...USERS.map((name) => [name, new Set([`${name}s`])] as const),
  ])
  readonly roles = new Map<string, Grant[]>(USERS.map((name) => [`${name}s`, []]))

  constructor(revision: number) {
    this.revision = revision
  }

  /** Undefined: it may. */
  access(info: AuthInfo | undefined, wanted: 'READ' | 'WRITE', { key, end }: Span): string | undefined {
    if (info === undefined) return 'user-empty'
    if (info.revision < this.revision) return 'auth-old-revision'
    const roles = this.users.get(info.username)
    if (roles === undefined) return 'permission-denied'
    if (roles.has('root')) return undefined
    const grants = [...roles].flatMap((role) => this.roles.get(role) ?? [])
    const asked = SAMPLES.filter((sample) => sample === key || has({ key, end }, sample))
    const isGranted = asked.every((sample) =>
      grants.some((grant) =>
        grant.type.startsWith(wanted) || grant.type.endsWith(wanted) ? has(grant, sample) : false,
      ),
    )
    return isGranted ? undefined : 'permission-denied'
  }

  lease(store: Store, info: AuthInfo | undefined, lease: bigint): string | undefined {
    if (info !== undefined && this.users.get(info.username)?.has('root') === true) return undefined
    for (const held of keysOfLease(store, lease)) {
      const refused = this.access(info, 'WRITE', { key: Buffer.from(held).toString('latin1'), end: '' })
      if (refused !== undefined) return refused
    }
    return undefined
  }

  operation(store: Store, info: AuthInfo | undefined, operation: Operation): string | undefined {
    switch (operation.kind) {
      case 'put': {
        const own = { key: operation.key, end: '' }
        return (
          this.access(info, 'WRITE', own) ??
          (operation.lease === 0n ? undefined : this.lease(store, info, operation.lease)) ??
          (operation.prevKv ? this.access(info, 'READ', own) : undefined)
        )
      }
      case 'delete':
        return (
          this.access(info, 'WRITE', operation) ?? (operation.prevKv ? this.access(info, 'READ', operation) : undefined)
        )
      case 'range':
        return this.access(info, 'READ', operation)
      default:
        for (const each of [...operation.success, ...operation.failure]) {
          const refused = this.operation(store, info, each)
          if (refused !== undefined) return refused
        }
        return undefined
    }
  }

  /** A change of users and roles that was taken. */
  changed(step: Step): void {
    this.revision += 1
    if (step.kind === 'grant' || step.kind === 'take') {
      const grants = this.roles.get(`${step.role}s`) ?? []
      const others = grants.filter(({ key, end }) => key !== step.key || end !== step.end)
      this.roles.set(`${step.role}s`, step.kind === 'grant' ? [...others, step] : others)
    } else if (step.kind === 'role') this.users.get(step.user)?.add(`${step.role}s`)
    else if (step.kind === 'no role') this.users.get(step.user)?.delete(`${step.role}s`)
    else if (step.kind === 'user') this.users.set(step.user, new Set())
    else if (step.kind === 'no user') this.users.delete(step.user)
  }
}

function has({ key, end }: Span, sample: string): boolean {
  if (end === '') return sample === key
  return key <= sample && (end === '\0' || sample < end)
}

function requestOf(operation: Exclude<Operation, { kind: 'txn' }>): RequestOp {
  if (operation.kind === 'put') return opPut(operation.key, 'v', { lease: operation.lease, prevKv: operation.prevKv })
  if (operation.kind === 'delete') return opDelete(operation.key, operation.end, operation.prevKv)
  return opRange(operation.key, operation.end)
}

function txnOf({ success, failure }: Extract<Operation, { kind: 'txn' }>): TxnRequest {
  const all = (operations: readonly Operation[]): RequestOp[] =>
    operations.map((operation) => (operation.kind === 'txn' ? opTxn(txnOf(operation)) : requestOf(operation)))
  return txnRequest(all(success), all(failure))
}

function commandOf(operation: Operation): readonly [StoreCommand['kind'], Uint8Array] | undefined {
  if (operation.kind === 'put') {
    const { key, lease, prevKv } = operation
    return ['put', PutRequest.encode(putRequest(key, 'v', { lease, prevKv })).finish()]
  }
  if (operation.kind === 'delete')
    return [
      'delete-range',
      DeleteRangeRequest.encode(deleteRequest(operation.key, operation.end, operation.prevKv)).finish(),
    ]
  return operation.kind === 'txn' ? ['txn', TxnRequest.encode(txnOf(operation)).finish()] : undefined
}

class Pair {
  readonly one = new Store(new MemoryBackend())
  readonly #backend = new MemoryBackend()
  other = new Store(this.#backend)
  readonly model: Model

  constructor() {
    for (const store of [this.one, this.other]) {
      enableWith(store, { u: [], v: [] })
      for (const ID of LEASES)
        applyAs(store, undefined, 'lease-grant', LeaseGrantRequest.encode({ ID, TTL: 60n }).finish())
    }
    this.model = new Model(this.one.auth.revision)
  }

  /** The other's answer is the same. */
  both(act: (store: Store) => string): string {
    const answer = act(this.one)
    assert.equal(act(this.other), answer, 'two members answer alike')
    return answer
  }

  async restart(): Promise<void> {
    await this.other.commit()
    this.other = new Store(this.#backend)
  }
}

async function take(pair: Pair, step: Step): Promise<void> {
  const { model } = pair
  const changes = (act: (store: Store) => string): void => {
    const before = pair.one.auth.revision
    pair.both(act)
    if (pair.one.auth.revision > before) model.changed(step)
  }
  switch (step.kind) {
    case 'ask': {
      const info = step.who === undefined ? undefined : { username: step.who, revision: model.revision - step.late }
      const expected = model.operation(pair.one, info, step.operation)
      const command = commandOf(step.operation)
      const { revision } = pair.one
      const answer = pair.both((store) =>
        command === undefined
          ? (refuseRange(store, info, rangeOf(step.operation)) ?? 'ok')
          : said(applyAs(store, info, command[0], command[1])),
      )
      assert.equal(isAuthErrorKind(answer) ? answer : undefined, expected, JSON.stringify(step.operation, withBigints))
      if (expected !== undefined) assert.equal(pair.one.revision, revision, 'what is refused is not done')
      return
    }
    case 'revoke': {
      const info = { username: step.who, revision: model.revision }
      const expected = model.lease(pair.one, info, step.lease)
      const request = LeaseRevokeRequest.encode({ ID: step.lease }).finish()
      const answer = pair.both((store) => said(applyAs(store, info, 'lease-revoke', request)))
      assert.equal(isAuthErrorKind(answer) ? answer : undefined, expected, 'who may revoke a lease')
      const again = LeaseGrantRequest.encode({ ID: step.lease, TTL: 60n }).finish()
      if (answer === 'ok') pair.both((store) => said(applyAs(store, info, 'lease-grant', again)))
      return
    }
    case 'grant':
      return changes((store) => grantPermission(store, `${step.role}s`, step.type, step.key, step.end))
    case 'take':
      return changes((store) => revokePermission(store, `${step.role}s`, step.key, step.end))
    case 'role':
      return changes((store) => grantRole(store, step.user, `${step.role}s`))
    case 'no role':
      return changes((store) => revokeRole(store, step.user, `${step.role}s`))
    case 'user':
      return changes((store) => addUser(store, step.user))
    case 'no user':
      return changes((store) => {
        const root = { username: 'root', revision: store.auth.revision }
        const request = AuthUserDeleteRequest.encode({ name: step.user }).finish()
        return said(applyAs(store, root, 'auth', encodeAuthChange('user-delete', request)))
      })
    default:
      return pair.restart()
  }
}

function rangeOf(operation: Operation): { readonly key: Buffer; readonly rangeEnd: Buffer } {
  assert.ok(operation.kind === 'range')
  return { key: Buffer.from(operation.key, 'latin1'), rangeEnd: Buffer.from(operation.end, 'latin1') }
}

function withBigints(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value
}

/** Undefined when nothing went wrong in that many runs. */
export async function wrongWithUsers(runs: number, seed?: number): Promise<string | undefined> {
  const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40, size: 'max' }), async (steps) => {
    const pair = new Pair()
    for (const each of steps) await take(pair, each)
    assert.equal(hashState(pair.other), hashState(pair.one), 'equal state')
  })
  const result = await fc.check(property, { numRuns: runs, ...(seed === undefined ? {} : { seed }) })
  if (!result.failed) return undefined
  return `${String(result.errorInstance)}\n${JSON.stringify(result.counterexample, withBigints)}`
}
