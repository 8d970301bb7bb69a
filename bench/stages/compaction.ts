/** Overwrites at full speed while what is old is compacted: how large the store becomes beside what lives in it. */
import { look, type Stage } from '../stage.ts'

const KEYS = 1000
const KEPT_REVISIONS = 1000
const VALUE_SIZE_BYTES = 256

const MEGABYTE = 1_000_000

export const compaction: Stage = {
  name: 'compaction',
  steps: [
    {
      kind: 'load',
      name: 'put-compacted',
      what: `puts of ${KEYS.toLocaleString('en')} keys, 1,000 clients, compacted every 2 s`,
      program: 'benchmark',
      args: [
        'put',
        '--key-size=8',
        '--sequential-keys',
        `--key-space-size=${KEYS}`,
        `--val-size=${VALUE_SIZE_BYTES}`,
        '--compact-interval=2s',
        `--compact-index-delta=${KEPT_REVISIONS}`,
      ],
      total: 200_000,
      isFoundation: true,
    },
    look({
      name: 'store-compacted',
      measures: {
        size: { what: 'the store after them', unit: 'MB' },
        inUse: { what: 'of it in use', unit: 'MB' },
      },
      run: async ({ cluster }) => {
        const status = await (await cluster.leader()).status()
        return { size: Number(status?.dbSize ?? NaN) / MEGABYTE, inUse: Number(status?.dbSizeInUse ?? NaN) / MEGABYTE }
      },
    }),
  ],
}
