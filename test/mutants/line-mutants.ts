/** Bugs in who is woken of those that wait for a lock or an election. The property of the lines must notice each. */
import type { Mutant } from './plant.ts'

const LINES = 'node-server/api/etcd/lines.ts'

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
    find: '    const watch = this.#watch\n    if (next !== undefined) {\n',
    replace: '    const watch = this.#watch\n    if (next !== undefined) {\n      this.#isRead = true\n',
  },
  {
    name: 'the first of a line is answered before the line is up to date',
    file: LINES,
    find: " && hub.progressRevision !== undefined) return 'turn'",
    replace: ") return 'turn'",
  },
]
