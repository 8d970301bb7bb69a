/** Sequences with authentication on: users with roles, requests in their names, and changes of what they may do in between. */
import * as fc from 'fast-check'
import type { PermissionSpec, UserSpecs } from '../users.ts'
import { keys, MAX_STEPS, oneStep, type Services } from './arbitrary.ts'
import type { Keys, Step } from './steps.ts'

export type UserStep =
  | { readonly kind: 'grant-permission'; readonly role: string; readonly permission: PermissionSpec }
  | ({ readonly kind: 'revoke-permission'; readonly role: string } & Keys)
  | { readonly kind: 'grant-role' | 'revoke-role'; readonly user: string; readonly role: string }

export interface AskedStep {
  readonly asker: string | undefined
  readonly step: Step | UserStep
}

export interface UsersSequence {
  readonly users: UserSpecs
  readonly steps: readonly AskedStep[]
}

const USER_STEPS: ReadonlySet<string> = new Set<UserStep['kind']>([
  'grant-permission',
  'revoke-permission',
  'grant-role',
  'revoke-role',
])

export function isUserStep(step: Step | UserStep): step is UserStep {
  return USER_STEPS.has(step.kind)
}

const USERS = ['u', 'v', 'w'] as const
/** Where the range that begins with a key ends: of two with one key, etcd may keep a grant that is to be replaced (see the docs). */
const ENDS: Readonly<Record<string, string>> = { a: 'c', c: '\0', d: 'e', '\0': 'b' }
const permission: fc.Arbitrary<PermissionSpec> = fc
  .record({ keys, permType: fc.constantFrom(0, 1, 2, 2) })
  .map(({ keys: { key }, permType }) => ({ permType, key, end: ENDS[key] ?? '' }))

const permissions = fc.array(permission, { maxLength: 4 })
const users: fc.Arbitrary<UserSpecs> = fc.record({ u: permissions, v: permissions, w: permissions })
const someone = fc.constantFrom(...USERS)
const asker = fc.oneof(
  { weight: 12, arbitrary: someone },
  { weight: 3, arbitrary: fc.constant('root') },
  { weight: 1, arbitrary: fc.constant(undefined) },
)

const userStep: fc.Arbitrary<UserStep> = fc.oneof(
  fc.record({ kind: fc.constant('grant-permission' as const), role: someone, permission }),
  fc
    .record({ role: someone, permission })
    .map(({ role, permission: { key, end } }) => ({ kind: 'revoke-permission' as const, role, key, end })),
  fc.record({ kind: fc.constantFrom('grant-role' as const, 'revoke-role' as const), user: someone, role: someone }),
)

export function usersSequence(services: Services): fc.Arbitrary<UsersSequence> {
  const step: fc.Arbitrary<Step | UserStep> = fc.oneof(
    { weight: 8, arbitrary: oneStep(services) },
    { weight: 1, arbitrary: userStep },
  )
  const steps = fc.array(fc.record({ asker, step }), { minLength: 1, maxLength: MAX_STEPS, size: 'max' })
  return fc.noBias(fc.record({ users, steps }))
}
