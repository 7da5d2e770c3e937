import type { Shape } from '../graph/ir';
import type { Layer } from './network';

/** A known network, which gives weights their graph. */
export interface Architecture {
  /** As `--architecture` takes it. */
  readonly name: string;
  /** As it is shown, with where the form comes from. */
  readonly title: string;
  /** Height and width of the images it is made for; null for tables. */
  readonly size: number | null;
  /** The first layer's weight: its second size is how many channels or features the input has. */
  readonly first: string;
  readonly network: Layer;
}

/** An architecture whose layers are read off the checkpoint itself; null when it is none of its kind. */
export type Family = (shapes: ReadonlyMap<string, Shape>) => Architecture | null;
