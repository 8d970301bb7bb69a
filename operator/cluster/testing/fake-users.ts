/** Users and roles as etcd keeps them, which refuses what etcd refuses. */
import { unreachable } from '../../../lib/assert.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { ROOT } from '../../api/auth.ts'
import type { Permission, UsersClient, UsersFailure, UserStep } from '../ports.ts'

interface User {
  /** Undefined: by certificate only. */
  password: string | undefined
  readonly roles: Set<string>
}

type Answer<Value> = Promise<Result<Value, UsersFailure>>

const refused = (message: string): Result<never, UsersFailure> => err({ kind: 'refused', message })

export class FakeUsers implements UsersClient {
  readonly people = new Map<string, User>()
  readonly granted = new Map<string, Permission[]>()
  isEnabled = false
  revision = 1
  /** Of all that the operator changed, in order. */
  readonly steps: UserStep[] = []
  logins = 0
  /** Whether a change gets an answer; asked before and after it. */
  fails: (when: 'before' | 'after', step: UserStep) => boolean = () => false

  async status(): Answer<{ readonly isEnabled: boolean; readonly revision: number }> {
    const { isEnabled, revision } = this
    return Promise.resolve(ok({ isEnabled, revision }))
  }

  async login(_: string, name: string, password: string): Answer<string> {
    this.logins += 1
    if (!this.isEnabled) return Promise.resolve(refused('etcdserver: authentication is not enabled'))
    return Promise.resolve(
      this.takes(name, password) ? ok(name) : refused('etcdserver: authentication failed, invalid user ID or password'),
    )
  }

  takes(name: string, password: string): boolean {
    const user = this.people.get(name)
    return user?.password !== undefined && user.password === password
  }

  async users(_: string, token: string, names: readonly string[]): Answer<ReadonlyMap<string, readonly string[]>> {
    if (!this.#isRoot(token)) return Promise.resolve(refused('etcdserver: permission denied'))
    const found = [...this.people].filter(([name]) => names.includes(name))
    return Promise.resolve(ok(new Map(found.map(([name, { roles }]) => [name, [...roles]]))))
  }

  async roles(_: string, token: string, names: readonly string[]): Answer<ReadonlyMap<string, readonly Permission[]>> {
    if (!this.#isRoot(token)) return Promise.resolve(refused('etcdserver: permission denied'))
    const found = [...this.granted].filter(([name]) => names.includes(name))
    return Promise.resolve(ok(new Map(found.map(([name, all]) => [name, [...all]]))))
  }

  async change(_: string, token: string, step: UserStep, password: string): Answer<undefined> {
    const away = err({ kind: 'unreachable', message: 'no answer' } as const)
    if (this.fails('before', step)) return Promise.resolve(away)
    if (!this.#isRoot(token)) return Promise.resolve(refused('etcdserver: permission denied'))
    const problem = this.byHand(step, password)
    if (problem === '') this.steps.push(step)
    if (this.fails('after', step)) return Promise.resolve(away)
    return Promise.resolve(problem === '' ? ok(undefined) : refused(problem))
  }

  secured(): UsersClient {
    return this
  }

  /** What is wrong with it; empty where it is done. */
  byHand(step: UserStep, password = ''): string {
    const problem = this.#apply(step, password)
    if (problem === '' && step.kind !== 'enable') this.revision += 1
    return problem
  }

  #isRoot(token: string): boolean {
    return !this.isEnabled || this.people.get(token)?.roles.has(ROOT) === true
  }

  #apply(step: UserStep, password: string): string {
    const user = 'user' in step ? this.people.get(step.user) : undefined
    const permissions = 'role' in step ? this.granted.get(step.role) : undefined
    if (step.kind !== 'user-add' && 'user' in step && user === undefined) return 'etcdserver: user name not found'
    switch (step.kind) {
      case 'role-add':
        if (permissions !== undefined) return 'etcdserver: role name already exists'
        this.granted.set(step.role, [])
        return ''
      case 'role-delete':
        if (this.isEnabled && step.role === ROOT) return 'etcdserver: invalid auth management'
        for (const { roles } of this.people.values()) roles.delete(step.role)
        return this.granted.delete(step.role) ? '' : 'etcdserver: role name not found'
      case 'grant-permission':
      case 'revoke-permission': {
        if (permissions === undefined) return 'etcdserver: role name not found'
        const others = permissions.filter(
          ({ key, rangeEnd }) => !key.equals(step.permission.key) || !rangeEnd.equals(step.permission.rangeEnd),
        )
        this.granted.set(step.role, step.kind === 'grant-permission' ? [...others, step.permission] : others)
        return ''
      }
      case 'user-add':
        if (user !== undefined) return 'etcdserver: user name already exists'
        if (!step.certificateOnly && password === '') return 'etcdserver: user name is empty'
        this.people.set(step.user, { password: step.certificateOnly ? undefined : password, roles: new Set() })
        return ''
      case 'user-delete':
        if (this.isEnabled && step.user === ROOT) return 'etcdserver: invalid auth management'
        this.people.delete(step.user)
        return ''
      case 'change-password':
        if (user?.password !== undefined) user.password = password
        return ''
      case 'grant-role':
        if (step.role !== ROOT && permissions === undefined) return 'etcdserver: role name not found'
        user?.roles.add(step.role)
        return ''
      case 'revoke-role':
        if (this.isEnabled && step.user === ROOT && step.role === ROOT) return 'etcdserver: invalid auth management'
        return user?.roles.delete(step.role) === true ? '' : 'etcdserver: role is not granted to the user'
      case 'enable':
        if (this.people.get(ROOT)?.roles.has(ROOT) !== true) return 'etcdserver: root user does not have root role'
        this.isEnabled = true
        return ''
      case 'disable':
        this.isEnabled = false
        return ''
      default:
        return unreachable(step)
    }
  }
}
