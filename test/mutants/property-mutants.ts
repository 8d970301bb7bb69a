/** Bugs in parts that are compared with a model by themselves: a simulation meets too few of their cases. */
import type { Mutant } from './plant.ts'

const KEPT_USERS = 'operator/cluster/rules/users.ts'
const LINES = 'node-server/api/etcd/lines.ts'
const LESSOR = 'node-server/node/lease/lessor.ts'

export const LESSOR_MUTANTS: readonly Mutant[] = [
  {
    name: 'a new leader reads a lease over the one that was renewed already',
    file: LESSOR,
    find: 'if (!this.#leases.has(lease.id)) this.#track(lease, reading.fromMs)',
    replace: 'this.#track(lease, reading.fromMs)',
  },
  {
    name: 'a lease that a new leader has not read yet is none',
    file: LESSOR,
    find: 'if (known !== undefined || this.#reading === undefined) return known',
    replace: 'if (this.#leases.size > 0 || known !== undefined || this.#reading === undefined) return known',
  },
  {
    name: 'a new leader reads the first of its leases only',
    file: LESSOR,
    find: 'if (slice.length < leases.sliceLeases) this.#reading = undefined',
    replace: 'if (slice.length <= leases.sliceLeases) this.#reading = undefined',
  },
]

/** In the operator, which keeps users and roles as declared. */
export const KEPT_USERS_MUTANTS: readonly Mutant[] = [
  {
    name: 'authentication is turned on whatever password root has',
    file: KEPT_USERS,
    find: 'const isProven = memory.revision === users.revision && ',
    replace: 'const isProven = ',
  },
  {
    name: 'authentication is turned on before root has the password of its Secret',
    file: KEPT_USERS,
    find: 'users.secrets)\n  if (steps.length === 0',
    replace: 'users.secrets) || memory.revision > 0\n  if (steps.length === 0',
  },
  {
    name: 'a user is forgotten that was begun with and not learned of',
    file: 'operator/cluster/act.ts',
    find: 'if (steps.length > 0 && !isDeepStrictEqual(before, known)) {',
    replace: 'if (steps.length < 0) {',
  },
  {
    name: 'a name that was declared once counts as declared forever: whom somebody makes under it is removed',
    file: KEPT_USERS,
    find: '    users: auth.users.map((user) => ({ name: user.name, secret: secretOf(user) })),\n',
    replace:
      '    users: [...before.users.filter(({ name }) => !auth.users.some((user) => user.name === name)), ...auth.users.map((user) => ({ name: user.name, secret: secretOf(user) }))],\n',
  },
  {
    name: 'who is to have no password keeps the one that there was',
    file: KEPT_USERS,
    find: "(certificateOnly ? known !== '' : known === '' || known === UNKNOWN)",
    replace: 'false',
  },
]

/** In the lock itself, for clients that take turns in the simulation. */
export const LOCK_MUTANTS: readonly Mutant[] = [
  {
    name: 'whoever asks for a lock has it',
    file: 'node-server/api/etcd/lock.ts',
    find: 'own !== undefined && line.isTurn(own.createRevision)',
    replace: 'own !== undefined',
  },
  {
    name: 'who waits for a lock is told of nothing that happens to its line',
    file: LINES,
    find: '    if (!this.#isRead) return\n    for (;;) {\n      const next = this.#waiting.minKey()',
    replace:
      '    if (!this.#isRead || this.users > 1) return\n    for (;;) {\n      const next = this.#waiting.minKey()',
  },
]

/** In who is woken of those that wait for a lock or an election. */
export const LINE_MUTANTS: readonly Mutant[] = [
  {
    name: 'a turn that has come wakes nobody',
    file: LINES,
    find: '    this.#through = Math.max(this.#through, revision)\n    this.#settle()\n',
    replace: '    this.#through = Math.max(this.#through, revision)\n',
  },
  {
    name: 'who looks at a key is woken by others',
    file: LINES,
    find: "for (const key of [...keys, ''])",
    replace: "for (const key of [''])",
  },
  {
    name: 'a line that was overtaken by a compaction is not read again',
    file: LINES,
    find: '      if (this.users > 0) this.begin()\n',
    replace: '',
  },
  {
    name: 'who has just come is judged by a line that does not know it yet',
    file: LINES,
    find: 'next === undefined || next > this.#through || next > this.#firstRevision()',
    replace: 'next === undefined || next > this.#firstRevision()',
  },
  {
    name: 'a line is taken for read after its first slice',
    file: LINES,
    find: '    const watcher = this.#watcher\n    if (next !== undefined) {\n',
    replace: '    const watcher = this.#watcher\n    if (next !== undefined) {\n      this.#isRead = true\n',
  },
  {
    name: 'the first of a line is answered before the line is up to date',
    file: LINES,
    find: ' && watchableStore.progressRevision !== undefined\n',
    replace: '\n',
  },
]
