/**
 * package.json and package-lock.json as they would be without what only developers have: `npm sbom --omit=dev` leaves out what is shipped
 * and a tool for developers needs as well. Pure.
 */
import { z } from 'zod'

const Manifest = z.looseObject({ optionalDependencies: z.record(z.string(), z.string()) })
const Lock = z.looseObject({ packages: z.record(z.string(), z.looseObject({ dev: z.boolean().default(false) })) })

export interface Shipped {
  readonly manifest: string
  readonly lock: string
}

export function shipped(manifestText: string, lockText: string): Shipped {
  const manifest = Manifest.parse(JSON.parse(manifestText))
  const { packages, ...rest } = Lock.parse(JSON.parse(lockText))
  // Of Node, for machines that have another one. The image's is Debian's and Node's own.
  const ofNode = new Set(Object.keys(manifest.optionalDependencies).map((name) => `node_modules/${name}`))
  const kept = Object.entries(packages).filter(([path, { dev }]) => !dev && !ofNode.has(path))
  const undeveloped = kept.map(([path, one]) => [path, path === '' ? withoutDevelopers(one) : one])
  return {
    manifest: JSON.stringify(withoutDevelopers(manifest)),
    lock: JSON.stringify({ ...rest, packages: Object.fromEntries(undeveloped) }),
  }
}

function withoutDevelopers(root: object): object {
  return { ...root, devDependencies: undefined, optionalDependencies: undefined }
}
