import { present } from "@etcd-ts/base";
import { type BucketName, bucketNames } from "@etcd-ts/machine";

const numbers: ReadonlyMap<BucketName, number> = new Map(
  bucketNames.map((name, index) => [name, index]),
);

/** Place in `bucketNames`, which is also the number of the database. */
export function bucketNumber(bucket: BucketName): number {
  return present(numbers.get(bucket), `bucket ${bucket}`);
}

/** The bucket of the revisions. */
export const revisionBucket: number = bucketNumber("key");
