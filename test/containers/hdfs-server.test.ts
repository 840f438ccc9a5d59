import { startHdfsContainer, startHdfsPairContainer } from '../real/hdfs-container.ts';
import { hdfsContract, hdfsPairContract } from '../real/hdfs-server-contract.ts';

hdfsContract('HDFS in a container', startHdfsContainer);
hdfsPairContract('a pair of NameNodes in a container', startHdfsPairContainer);
