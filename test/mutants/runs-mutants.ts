/** Bugs in the engine under the store. Its crash points, its twin in memory and flipped bits must notice each. */
import type { Mutant } from './plant.ts'

const RUNS = 'node-server/storage/runs'

export const RUNS_MUTANTS: readonly Mutant[] = [
  {
    name: 'a manifest names files that are not synced',
    file: `${RUNS}/step-runner.ts`,
    find: 'await file.sync()\n',
    replace: '',
  },
  {
    name: 'a manifest is in force before it is synced',
    file: `${RUNS}/store-directory.ts`,
    find: 'await file.sync()\n',
    replace: '',
  },
  {
    name: 'a commit is acknowledged before the name of its manifest is durable',
    file: `${RUNS}/store-directory.ts`,
    find: 'await disk.rename(`${path}${NEW_SUFFIX}`, path)\n  await disk.syncDirectory(directory)',
    replace: 'await disk.rename(`${path}${NEW_SUFFIX}`, path)',
  },
  {
    name: 'merged files are removed before the manifest without them is durable',
    file: `${RUNS}/writer.ts`,
    find: 'await writeManifest(this.#disk, this.#directory, next)',
    replace:
      'for (const { id } of filesOf(this.#manifest)) if (!filesOf(next).some((file) => file.id === id)) await this.#disk.remove(runPath(this.#directory, id))\n      await writeManifest(this.#disk, this.#directory, next)',
  },
  {
    name: 'a manifest forgets which file IDs were given',
    file: `${RUNS}/writer.ts`,
    find: 'nextFileId: this.#nextFileId, runs',
    replace: 'nextFileId: this.#manifest.nextFileId, runs',
  },
  {
    name: 'a removal is dropped although something older is beneath it',
    file: `${RUNS}/writer.ts`,
    find: 'const isBottom = runs.at(-1) === this.#manifest.runs.at(-1)',
    replace: 'const isBottom = true',
  },
  {
    name: 'of two rows with the same key the older one counts',
    file: `${RUNS}/spans.ts`,
    find: 'return a.age < b.age',
    replace: 'return a.age > b.age',
  },
  {
    name: 'a key is looked up in the oldest run first',
    file: `${RUNS}/runs-backend.ts`,
    find: 'for (const run of this.#store.runs) {',
    replace: 'for (const run of this.#store.runs.toReversed()) {',
  },
  {
    name: 'a merged run takes the place of newer ones',
    file: `${RUNS}/writer.ts`,
    find: 'const from = newest === undefined ? 0 : runs.indexOf(newest)',
    replace: 'const from = 0',
  },
  {
    name: 'a merged run comes before the commits of meanwhile',
    file: `${RUNS}/writer.ts`,
    find: '...runs.slice(0, from),\n      ...(run.length === 0 ? [] : [run]),',
    replace: '...(run.length === 0 ? [] : [run]),\n      ...runs.slice(0, from),',
  },
  {
    name: 'the checksum of a block is not asked',
    file: `${RUNS}/block.ts`,
    find: ' || !isSound(bytes, seed)',
    replace: '',
  },
  {
    name: 'the checksum of a filter is not asked',
    file: `${RUNS}/run-reader.ts`,
    find: 'this.#checkPage(page, bytes)\n      if (into',
    replace: 'if (into',
  },
  {
    name: 'a scan goes on in a block whose bytes the ring has taken back',
    file: `${RUNS}/block-ring.ts`,
    find: 'if (held instanceof Block) held.keep()',
    replace: '',
  },
  {
    name: 'a block that ends behind the range is counted as a whole',
    file: `${RUNS}/cursor.ts`,
    find: 'next.child < end.child',
    replace: 'next.child <= end.child',
  },
  {
    name: 'blocks are counted as a whole that another run reaches into',
    file: `${RUNS}/spans.ts`,
    find: 'first.countWholeBlocks(second?.head.subarray(0, second.headSize))',
    replace: 'first.countWholeBlocks()',
  },
  {
    name: 'commits do not wait while there are too many runs',
    file: `${RUNS}/writer.ts`,
    find: 'this.#manifest.runs.length < this.#sizes.maxRuns',
    replace: 'true',
  },
  {
    name: 'a received store gets its name before it is durable',
    file: `${RUNS}/archive.ts`,
    find: 'await written.sync()\n',
    replace: '',
  },
  {
    name: 'what is pinned is closed with the store',
    file: `${RUNS}/runs-backend.ts`,
    find: 'run.map((reader) => reader.hold())',
    replace: 'run.map((reader) => reader)',
  },
]
