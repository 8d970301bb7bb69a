/**
 * Users and roles under an operator that fails at any call, while people edit the spec, the Secrets, and users and roles by hand:
 * authentication is never turned on with a password of root that is not in its Secret, what was never declared stays, and in the end all is as
 * declared.
 */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { ROOT } from '../../api/auth.ts'
import { permissionOf } from '../rules/users.ts'
import type { UserStep } from '../ports.ts'
import { converge, look } from './convergence.ts'
import { Crash } from './hooks.ts'
import { World } from './world.ts'

interface Declared {
  readonly enabled: boolean
  readonly roles: readonly { readonly name: string; readonly permissions: readonly object[] }[]
  readonly users: readonly {
    readonly name: string
    readonly isByCertificate: boolean
    readonly roles: readonly string[]
  }[]
}

type Event =
  | { readonly kind: 'declare'; readonly declared: Declared | undefined }
  | { readonly kind: 'secret'; readonly user: string; readonly password: string }
  | { readonly kind: 'by hand'; readonly step: UserStep; readonly password: string }
  | { readonly kind: 'look'; readonly failsAt: number; readonly when: 'before' | 'after'; readonly isCrash: boolean }

const NAMES = ['a', 'b'] as const
const ROLES = ['r', 's'] as const
/** Made by hand alone. */
const STRANGER = 'stranger'
const RANGES = [{ key: 'k' }, { prefix: 'p' }, { range: { from: 'f' } }] as const

const permission = fc.record({
  range: fc.constantFrom(...RANGES),
  access: fc.constantFrom('Read', 'Write', 'ReadWrite'),
})
const declared: fc.Arbitrary<Declared> = fc.record({
  enabled: fc.boolean(),
  roles: fc.constant(ROLES).chain((names) =>
    fc.tuple(
      ...names.map((name) =>
        fc.record({
          name: fc.constant(name),
          permissions: fc
            .uniqueArray(permission, { maxLength: 2, selector: ({ range }) => JSON.stringify(range) })
            .map((all) => all.map(({ range, access }) => ({ ...range, access }))),
        }),
      ),
    ),
  ),
  users: fc
    .subarray([...NAMES])
    .chain((names) =>
      fc.tuple(
        ...names.map((name) =>
          fc.record({ name: fc.constant(name), isByCertificate: fc.boolean(), roles: fc.subarray([...ROLES]) }),
        ),
      ),
    ),
})

const user = fc.constantFrom(...NAMES, STRANGER, ROOT)
const role = fc.constantFrom(...ROLES, STRANGER)
const step: fc.Arbitrary<UserStep> = fc.oneof(
  fc.record({ kind: fc.constant('user-add' as const), user, certificateOnly: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('user-delete' as const, 'change-password' as const), user }),
  fc.record({ kind: fc.constant('role-add' as const), role }),
  fc.record({ kind: fc.constantFrom('grant-role' as const, 'revoke-role' as const), user, role }),
  fc.record({
    kind: fc.constantFrom('grant-permission' as const, 'revoke-permission' as const),
    role,
    permission: fc.constant(permissionOf({ key: 'k', access: 'Read' })),
  }),
)
/** What stands between root and its Secret: rare among all steps, and the reason why authentication must not be turned on. */
const rootStep: fc.Arbitrary<UserStep> = fc.record({
  kind: fc.constant('change-password' as const),
  user: fc.constant(ROOT),
})
const password = fc.constantFrom('one', 'two')
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('declare' as const), declared: fc.option(declared, { nil: undefined, freq: 6 }) }) }, // prettier-ignore
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('secret' as const), user: fc.constantFrom(...NAMES, ROOT), password }) }, // prettier-ignore
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('by hand' as const), step, password }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('by hand' as const), step: rootStep, password }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('secret' as const), user: fc.constant(ROOT), password }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('look' as const), failsAt: fc.nat(9), when: fc.constantFrom('before' as const, 'after' as const), isCrash: fc.boolean() }) }, // prettier-ignore
)

class Keeping {
  readonly world = new World({ replicas: 1 })

  async begin(): Promise<void> {
    await converge(this.world)
    for (const name of [...NAMES, ROOT]) this.#write(name, 'one')
    const { users } = this.world
    users.fails = (when, { kind }) => {
      if (kind === 'enable' && when === 'before') assert(this.#hasRoot(), 'authentication is turned on without a root')
      return false
    }
  }

  async run(event: Event): Promise<void> {
    const { world } = this
    switch (event.kind) {
      case 'declare':
        world.edit({ auth: event.declared && specOf(event.declared) })
        return
      case 'secret':
        // While it is on, root's is another one only once the cluster has it (docs/operator.md).
        if (event.user !== ROOT || !world.users.isEnabled) this.#write(event.user, event.password)
        return
      case 'by hand':
        this.#byHand(event.step, event.password)
        return
      case 'look':
        await this.#lookFailing(event)
    }
  }

  async end(last: Declared): Promise<void> {
    const { world } = this
    const { users } = world
    const before = [...users.people.keys()]
    world.edit({ auth: specOf(last) })
    for (let looks = 0; looks < 8; looks++) await this.#look()
    assert.equal(users.isEnabled, last.enabled, 'authentication is not as declared')
    for (const { name, permissions } of last.roles)
      assert.equal(users.granted.get(name)?.length, permissions.length, `role ${name} is not as declared`)
    for (const { name, isByCertificate, roles } of last.users) {
      const found = users.people.get(name)
      assert.deepEqual([...(found?.roles ?? [])].toSorted(), [...roles].toSorted(), `user ${name} is not as declared`)
      assert.equal(found?.password === undefined, isByCertificate, `user ${name} gets in otherwise than declared`)
    }
    for (const name of before.filter((one) => one !== ROOT && !last.users.some((user) => user.name === one))) {
      const maker = this.#makers.get(name)
      if (maker === 'operator') assert(!users.people.has(name), `user ${name} is not declared any more`)
      if (maker === 'hand') assert(users.people.has(name), `user ${name}, whom somebody made, is gone`)
    }
    // Of a name that is remembered for longer, whoever is made under it later would be removed.
    assert.deepEqual(
      this.#remembered().toSorted(),
      last.users.map(({ name }) => name).toSorted(),
      'others are remembered',
    )
    const changes = users.steps.length
    for (let looks = 0; looks < 3; looks++) await this.#look()
    assert.equal(users.steps.length, changes, 'what is as declared is left alone')
  }

  /** Who made a user that is there; `either` once somebody's user was declared. */
  readonly #makers = new Map<string, 'operator' | 'hand' | 'either'>()

  #byHand(step: UserStep, password: string): void {
    const { users } = this.world
    const isRoots = 'user' in step && step.user === ROOT
    if (isRoots && users.isEnabled) return
    const problem = users.byHand(step, password)
    if (problem === '' && step.kind === 'user-add')
      this.#makers.set(step.user, this.#remembered().includes(step.user) ? 'either' : 'hand')
  }

  #remembered(): readonly string[] {
    const memory: readonly { readonly name: string }[] = Object(this.world.status()['auth']).users ?? []
    return memory.map(({ name }) => name)
  }

  async #look(): Promise<void> {
    const { users } = this.world
    const spec: unknown = this.world.resource()['spec']
    const declared: readonly { readonly name: string }[] = Object(Object(spec)['auth']).users ?? []
    const before = users.steps.length
    await look(this.world)
    for (const { name } of declared) if (this.#makers.get(name) === 'hand') this.#makers.set(name, 'either')
    for (const step of users.steps.slice(before)) if (step.kind === 'user-add') this.#makers.set(step.user, 'operator')
  }

  async #lookFailing({ failsAt, when, isCrash }: Extract<Event, { kind: 'look' }>): Promise<void> {
    const { users } = this.world
    const { fails } = users
    let count = 0
    users.fails = (now, step) => {
      if (fails(now, step)) return true
      const isNow = now === when && count++ === failsAt
      if (isNow && isCrash) throw new Crash()
      return isNow
    }
    await this.#look()
    users.fails = fails
  }

  #hasRoot(): boolean {
    const { users } = this.world
    const data: unknown = Object(this.world.get('Secret', ROOT))['data']
    const password = Buffer.from(String(Object(data)['password']), 'base64').toString()
    return users.takes(ROOT, password) && users.people.get(ROOT)?.roles.has(ROOT) === true
  }

  #write(user: string, password: string): void {
    const data = { password: Buffer.from(`${user} ${password}`).toString('base64') }
    this.world.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name: user, namespace: 'ns' }, data })
  }
}

function specOf({ enabled, roles, users }: Declared): object {
  return {
    enabled,
    allowWithoutTLS: true,
    rootSecretRef: { name: ROOT },
    roles,
    users: users.map(({ name, isByCertificate, roles: given }) => ({
      name,
      roles: given,
      ...(isByCertificate ? { certificateOnly: true } : { passwordSecretRef: { name } }),
    })),
  }
}

/** What goes wrong, or undefined. */
export async function wrongWithKeptUsers(numRuns: number, seed: number): Promise<string | undefined> {
  const property = fc.asyncProperty(fc.array(event, { maxLength: 14 }), declared, async (events, last) => {
    const keeping = new Keeping()
    await keeping.begin()
    for (const one of events) await keeping.run(one)
    await keeping.end(last)
  })
  const { failed, errorInstance, counterexample } = await fc.check(property, { numRuns, seed })
  return failed ? `${String(errorInstance)}\n${JSON.stringify(counterexample)}` : undefined
}
