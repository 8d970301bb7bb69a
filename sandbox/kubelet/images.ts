/** An image is a program on this machine: its directory, its entry point, and what `node` means in it. Pure. */

export interface LocalImage {
  /** Working directory where the container names none. */
  readonly directory: string
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
}

/** By repository, without registry, tag or digest. */
export type Images = Readonly<Record<string, LocalImage>>

/** Undefined when this machine has no such image: the pod then waits as it would for one that cannot be pulled. */
export function findImage(images: Images, image: string): LocalImage | undefined {
  const [path = ''] = image.split('@')
  const last = path.slice(path.lastIndexOf('/') + 1)
  const [repository = ''] = last.split(':')
  return Object.hasOwn(images, repository) ? images[repository] : undefined
}

/** As a container runtime puts them together: a command takes the place of both, arguments that of the image's. */
export function commandLine(image: LocalImage, command: readonly string[], args: readonly string[]): readonly string[] {
  if (command.length > 0) return [...command, ...args]
  return [...image.entrypoint, ...(args.length > 0 ? args : image.command)]
}

/** This checkout under the names that our Dockerfile's image has. */
export function checkoutImages(root: string): Images {
  return { raftkv: { directory: root, entrypoint: ['node'], command: ['node-server/main.ts'] } }
}
