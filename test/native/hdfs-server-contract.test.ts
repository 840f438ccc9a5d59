import { startHdfs, startHdfsPair } from '../real/hdfs-server.ts';
import { hdfsContract, hdfsPairContract } from '../real/hdfs-server-contract.ts';

hdfsContract('HDFS as processes', startHdfs);
hdfsPairContract('a pair of NameNodes as processes', startHdfsPair);
